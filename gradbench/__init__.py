"""gradbench: which estimator of the gradient through a diffusion sampler to use, measured.

    case = gradbench.case("gaussian", dim=6)
    problem = case.problem(sampler="ddim", steps=20, targets=("x_T", "condition", "parameters"))
    gradbench.estimator("adjoint-deis", order=1)(problem).grads["x_T"]
    x_0 = gradbench.sample(denoiser, x_T, sampler="ddim", steps=50, gradient="checkpoint", wrt=[condition, *lora])

Names are imported on first use, so `import gradbench` takes milliseconds and does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gradbench.api import case, estimator, problem, sample
    from gradbench.diffusion.chart import Chart
    from gradbench.diffusion.denoiser import Denoiser, ExactPrediction, NetworkDenoiser, NetworkPrediction, Prediction
    from gradbench.diffusion.discrete import from_diffusers
    from gradbench.diffusion.grid import Stop
    from gradbench.diffusion.schedule import Schedule, make_schedule
    from gradbench.diffusion.scheduled import Scheduled
    from gradbench.diffusion.scheduler_grid import grid_of, latents_scale
    from gradbench.estimators.base import GradientEstimate, GradientEstimator
    from gradbench.estimators.pathwise.pathwise import Differentiable
    from gradbench.models.decoder import LatentDecoder
    from gradbench.models.network import diffusers_denoiser
    from gradbench.models.pipeline import from_pipeline
    from gradbench.references import Problem
    from gradbench.samplers.base import Interval, ReversibleRule, Rule
    from gradbench.samplers.encoding import cycle_encode, encode, interpolate
    from gradbench.samplers.rollout import Rollout
    from gradbench.samplers.scheduler import sampler_for

_HOMES = {
    "case": "api",
    "estimator": "api",
    "problem": "api",
    "sample": "api",
    "Chart": "diffusion.chart",
    "Denoiser": "diffusion.denoiser",
    "ExactPrediction": "diffusion.denoiser",
    "NetworkDenoiser": "diffusion.denoiser",
    "NetworkPrediction": "diffusion.denoiser",
    "Prediction": "diffusion.denoiser",
    "Schedule": "diffusion.schedule",
    "Scheduled": "diffusion.scheduled",
    "from_diffusers": "diffusion.discrete",
    "Stop": "diffusion.grid",
    "grid_of": "diffusion.scheduler_grid",
    "latents_scale": "diffusion.scheduler_grid",
    "make_schedule": "diffusion.schedule",
    "Differentiable": "estimators.pathwise.pathwise",
    "GradientEstimate": "estimators.base",
    "GradientEstimator": "estimators.base",
    "Problem": "references",
    "diffusers_denoiser": "models.network",
    "from_pipeline": "models.pipeline",
    "LatentDecoder": "models.decoder",
    "Interval": "samplers.base",
    "ReversibleRule": "samplers.base",
    "Rule": "samplers.base",
    "cycle_encode": "samplers.encoding",
    "encode": "samplers.encoding",
    "interpolate": "samplers.encoding",
    "Rollout": "samplers.rollout",
    "sampler_for": "samplers.scheduler",
}

__all__ = [
    "Chart",
    "Denoiser",
    "Differentiable",
    "ExactPrediction",
    "GradientEstimate",
    "GradientEstimator",
    "Interval",
    "LatentDecoder",
    "NetworkDenoiser",
    "NetworkPrediction",
    "Prediction",
    "Problem",
    "ReversibleRule",
    "Rollout",
    "Rule",
    "Schedule",
    "Scheduled",
    "Stop",
    "__version__",
    "case",
    "cycle_encode",
    "encode",
    "estimator",
    "from_diffusers",
    "from_pipeline",
    "grid_of",
    "interpolate",
    "latents_scale",
    "make_schedule",
    "problem",
    "sample",
    "sampler_for",
    "diffusers_denoiser",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradbench' has no attribute {name!r}")
    return getattr(importlib.import_module(f"gradbench.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
