"""The scheduler classes of diffusers: which are chains of gradbench in another notation, and why the others are not.

A class is identified by its name, and a subclass by the name of the class whose methods it inherits unchanged. A
method that is set on a scheduler itself is one of its own.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from gradbench.checks import UsageError

# steps from index i to index i - train_steps // N, whatever the next timestep is
STRIDED = ("DDIMScheduler", "DDIMParallelScheduler", "CogVideoXDDIMScheduler")
# steps from one timestep to the next, the last one to alpha = 1, or where `TO_FIRST` to index 0
CHAINED = ("DDPMScheduler", "DDPMParallelScheduler", "LCMScheduler", "TCDScheduler")
TO_FIRST = ("TCDScheduler",)
# the network is preconditioned, alpha = 1, and sigma goes up to sigma_max
EDM = ("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler", "CosineDPMSolverMultistepScheduler")
FLOW = (
    "FlowMatchEulerDiscreteScheduler",
    "FlowMatchHeunDiscreteScheduler",
    "LTXEulerAncestralRFScheduler",
)
# timesteps come in pairs, one for each evaluation of Heun's rule
PAIRED = ("HeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")
# timesteps alternate between the step's start and its stage
HALVED = ("KDPM2DiscreteScheduler",)
# latents are stored as x / alpha and scaled back before they enter the network
SCALED = (
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "DPMSolverSDEScheduler",
    *EDM,
)
# higher-order solvers of the same equation, whose last step may be of first order
MULTISTEP = (
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    "LMSDiscreteScheduler",
)

TABLE_OF = "for its table alone, DDIMScheduler.from_config(scheduler.config)"
BETWEEN = (
    "its timesteps hold times between its steps, and none of the samplers takes its second stage there: use "
    "sampler='heun' or 'midpoint' on the grid of EulerDiscreteScheduler.from_config(scheduler.config)"
)
# solvers of the same equation whose timesteps do not form a grid
STAGED = {
    "KDPM2AncestralDiscreteScheduler": BETWEEN,
    "DPMSolverSDEScheduler": BETWEEN,
}
# chains that solve neither the ODE nor the reverse SDE of a diffusion
OTHERS = {
    "CMStochasticIterativeScheduler": "it samples a consistency model: not a denoiser of a diffusion",
    "ConsistencyDecoderScheduler": "it samples a consistency model: not a denoiser of a diffusion",
    "SCMScheduler": "it samples a continuous-time consistency model: not a denoiser of a diffusion",
    "SASolverScheduler": f"its stochastic Adams steps follow an equation of their own; {TABLE_OF}",
    "RePaintScheduler": f"it goes back and forth in time around a given image; {TABLE_OF}",
    "ScoreSdeVeScheduler": "it corrects by Langevin steps between the predictions: use EulerDiscreteScheduler's grid",
    "ScoreSdeVpScheduler": "it is Euler-Maruyama for a continuous network: use sampler='euler-maruyama' on 'vp-linear'",
    "KarrasVeScheduler": "it adds noise in every step (churn): use EulerDiscreteScheduler",
    "DDIMInverseScheduler": "it runs from data to noise: use gradbench.encode",
    "DPMSolverMultistepInverseScheduler": "it runs from data to noise: use gradbench.encode",
    "UnCLIPScheduler": f"it draws a learned or logarithmic variance and clips; {TABLE_OF}",
    "DDPMWuerstchenScheduler": "its network receives a ratio from a schedule of its own, with no table of alphas",
    "CogVideoXDPMScheduler": (
        "it draws noise twice per step and steps past its next timestep: use CogVideoXDDIMScheduler.from_config"
    ),
    "IPNDMScheduler": "it has no table of alphas; allowed are schedulers of a table of alphas and of flow matching",
    "FlowMapEulerDiscreteScheduler": "its network receives two times, for a flow map: not a denoiser of a diffusion",
    "PiflowScheduler": "it follows a policy that the network predicts: not a denoiser of a diffusion",
    "HeliosScheduler": "it samples in stages of growing resolution: no single time range",
    "HeliosDMDScheduler": "it adds noise to the predicted sample in every step, in stages of growing resolution",
    "MiniMaxH3Scheduler": (
        "its network predicts x_0 - eps at the time 1 - t: use a NetworkDenoiser of kind 'flow' on 'rectified' whose "
        "network reverses both"
    ),
    "RFD4ProteinaScheduler": "it scales the score by a temperature: not the equation of the diffusion",
    **dict.fromkeys(
        (
            "AmusedScheduler",
            "BlockRefinementScheduler",
            "DiscreteDDIMScheduler",
            "EntropyBoundScheduler",
            "VQDiffusionScheduler",
        ),
        "it samples tokens: not a diffusion of a continuous state",
    ),
}
CUTS = ("clip_sample", "thresholding")


def known(scheduler: Any) -> str | None:
    """The name of the diffusers class whose steps a scheduler takes; None if it, or its class, defines its own."""
    changed = {name for name, value in getattr(scheduler, "__dict__", {}).items() if callable(value)}
    for base in type(scheduler).__mro__:
        if base.__module__.startswith("diffusers."):
            return None if changed & {name for name in dir(base) if not name.startswith("__")} else base.__name__
        changed |= {name for name, value in vars(base).items() if callable(value) or isinstance(value, property)}
    return None


def option(scheduler: Any, name: str, default: Any = None) -> Any:
    """A configuration value, or `default` if the diffusers class does not read it (it may stem from another class)."""
    config: Mapping[str, Any] = getattr(scheduler, "config", {})
    classes = [base for base in type(scheduler).__mro__ if base.__module__.startswith("diffusers.")]
    reads = not classes or any(name in inspect.signature(base.__init__).parameters for base in classes)
    return config.get(name, default) if reads else default


def is_flow(scheduler: Any) -> bool:
    """Whether a scheduler is for rectified flow, which steps in sigmas of its own and not in a table of alphas."""
    return (
        "FlowMatch" in type(scheduler).__name__
        or known(scheduler) in FLOW
        or bool(option(scheduler, "use_flow_sigmas"))
    )


def refuse_other(scheduler: Any) -> None:
    """`ValueError` for a scheduler that solves no ODE or SDE of gradbench, and for one that cuts off gradients."""
    name = type(scheduler).__name__
    reason = OTHERS.get(known(scheduler) or name)
    if reason:
        raise UsageError(f"scheduler {name} is not an ODE or SDE solver that gradbench supports: {reason}")
    if option(scheduler, "prediction_type") == "flow_prediction" and not is_flow(scheduler):
        raise UsageError(
            f"scheduler {name} treats its network's output as a flow's and its table as a diffusion's: allowed "
            "are use_flow_sigmas=True, or another prediction_type"
        )
    for cut in CUTS:
        if option(scheduler, cut) and "CogVideoX" not in name:  # CogVideoX's has the option but does not clip
            raise UsageError(f"the scheduler has {cut}=True, which cuts gradients off: use {cut}=False")
