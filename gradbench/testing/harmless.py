"""Nothing is changed: the problem, its network and the process are after an estimate what they were before."""

from typing import Any

import torch

from gradbench.estimators.problem import Problem
from gradbench.testing.ambient import ambient, changed
from gradbench.testing.subject import Subject, place
from gradbench.testing.verdict import demand


def unmutated(subject: Subject) -> str:
    """x_T, leaves, requires_grad, .grad, weights, buffers, hooks, the problem's fields, random states and modes."""
    problems, before = subject.one_of_each(), {}
    for problem in problems:
        before = {**state_of(problem), **ambient()}
        subject.estimate(problem)
        after = {**state_of(problem), **ambient()}
        names = changed(before, after)
        demand(not names, f"it changed {', '.join(names)} ({place(problem)})")
    return f"{len(before)} things as before, on {len(problems)} problems"


def state_of(problem: Problem) -> dict[str, Any]:
    """Everything of a problem that an estimate must leave alone, copied."""
    leaves = {"x_T": problem.x_T, "the condition": problem.condition}
    leaves |= {f"parameter {i}": p for i, p in enumerate(problem.parameters)}
    found: dict[str, Any] = {}
    for name, leaf in leaves.items():
        if leaf is not None:
            found[name] = leaf.detach().clone()
            found[f"requires_grad of {name}"] = leaf.requires_grad
            found[f".grad of {name}"] = None if leaf.grad is None else leaf.grad.clone()
    for owner, module in (("the denoiser", problem.denoiser), ("the objective", problem.objective)):
        if isinstance(module, torch.nn.Module):
            found |= {f"{key} of {owner}": value.detach().clone() for key, value in module.state_dict().items()}
            found[f"the training mode of {owner}"] = module.training
            found[f"the hooks of {owner}"] = [
                len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules()
            ]
    fields = ("steps", "t_max", "t_min", "seed", "noise", "draws", "targets", "sampler", "rollout")
    return found | {f"the problem's {name}": getattr(problem, name) for name in fields}
