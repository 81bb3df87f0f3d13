"""No side effects: an estimate leaves the problem, its network and the process unchanged."""

from collections.abc import Mapping

import torch

from gradbench.problems.problem import Problem
from gradbench.problems.spec import TARGETS
from gradbench.testing.ambient import ambient, changed
from gradbench.testing.subject import Subject, place
from gradbench.testing.verdict import demand


def unmutated(subject: Subject) -> str:
    """Unchanged: x_T, leaves, requires_grad, .grad, weights, buffers, hooks, problem fields, random states, modes."""
    problems, before = subject.one_of_each(), {}
    for problem in problems:
        before = {**state_of(problem), **ambient()}
        subject.estimate(problem)
        after = {**state_of(problem), **ambient()}
        names = changed(before, after)
        demand(not names, f"it changed {', '.join(names)} ({place(problem)})")
    return f"{len(before)} things as before, on {len(problems)} problems"


def state_of(problem: Problem) -> Mapping[str, object]:
    """A copy, by name, of everything in a problem that an estimate must not change."""
    found: dict[str, object] = {}
    for target in TARGETS:
        leaves = problem.of(target)
        found[target] = [leaf.detach().clone() for leaf in leaves]
        found[f"requires_grad of {target}"] = [leaf.requires_grad for leaf in leaves]
        found[f".grad of {target}"] = [None if leaf.grad is None else leaf.grad.clone() for leaf in leaves]
    for owner, module in (("the denoiser", problem.denoiser), ("the objective", problem.objective)):
        if isinstance(module, torch.nn.Module):
            found |= {f"{key} of {owner}": value.detach().clone() for key, value in module.state_dict().items()}
            found[f"the training mode of {owner}"] = module.training
            found[f"the hooks of {owner}"] = [
                len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules()
            ]
    fields = ("steps", "t_max", "t_min", "seed", "noise", "draws", "targets")
    found |= {f"the problem's {name}": getattr(problem, name) for name in fields}
    return found | {f"the problem's {name}": id(getattr(problem, name)) for name in ("sampler", "rollout", "denoiser")}
