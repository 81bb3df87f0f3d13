"""`gradbench.problem`: a network of the user's own, for estimators that need the objective itself."""

import pytest
import torch
from torch import nn

import gradbench
from gradbench.estimators.catalogue import ESTIMATORS

X_T = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(0.3 * torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double())

    def forward(self, x, time, condition=None):
        return torch.tanh(x @ self.w)


def problem_of(net, sampler="flow-sde", **options):
    denoiser = gradbench.NetworkDenoiser(net, "rectified", kind="flow", told="t")
    options = {"steps": 6, "t_max": 0.95, "wrt": net.parameters()} | options
    return gradbench.problem(denoiser, lambda x: x.square().sum(1), X_T, sampler=sampler, **options)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_takes_it_or_says_why_not(name):
    entry = ESTIMATORS[name]
    method = gradbench.estimator(name, **({"draws": 4} if "draws" in entry.defaults else {}))
    problems = [problem_of(Net(), sampler) for sampler in ("flow-sde", "flow-euler", "belm")]
    reasons = [method.supports(problem.traits) for problem in problems]
    served = [problem for problem, reason in zip(problems, reasons, strict=True) if reason is None]
    assert served or all(reasons)
    for problem in served:
        (gradient,) = method(problem).grads["parameters"]
        assert gradient.shape == (3, 3) and gradient.isfinite().all()


def test_its_exact_gradient_is_that_of_a_sample():
    net = Net()
    problem = problem_of(net, "flow-euler")
    x_0 = gradbench.sample(problem.denoiser, X_T, sampler="flow-euler", steps=6, t_max=0.95, wrt=[net.w])
    x_0.square().sum().backward()
    assert torch.allclose(gradbench.estimator("checkpoint")(problem).grads["parameters"][0], net.w.grad)


def test_the_objectives_own_trainable_tensors_are_not_lost():
    net, scorer = Net(), nn.Linear(3, 1).double()
    denoiser = gradbench.NetworkDenoiser(net, "rectified", kind="flow", told="t")
    with pytest.raises(ValueError, match="wrt does not name"):
        gradbench.problem(denoiser, scorer, X_T, wrt=net.parameters())


def test_without_anything_to_differentiate_it_is_one_line():
    with pytest.raises(ValueError, match="nothing requires a gradient"):
        problem_of(Net().requires_grad_(False), wrt=[])
