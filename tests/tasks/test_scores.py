"""Diversity and divergence against their closed forms."""

import pytest
import torch

import gradbench
from gradbench.tasks.scores import divergence, diversity


def test_diversity_is_the_mean_distance_of_pairs():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    assert diversity(x).item() == pytest.approx(2 / 3 * 5 / 2**0.5)


def test_equal_samples_and_single_ones_have_none():
    assert diversity(torch.ones(4, 3)) == 0 and diversity(torch.randn(1, 3)) == 0


@pytest.fixture
def problem():
    case = gradbench.case("gaussian", dim=3, batch=4096)
    return case.problem(sampler="ddim[eta=1]", steps=6, targets=("parameters",))


def test_a_chain_does_not_diverge_from_itself(problem):
    assert divergence(problem, [leaf.detach().clone() for leaf in problem.parameters]) == 0


def test_the_divergence_is_that_of_the_joint_densities(problem):
    """The mean of log p(path) - log p_base(path) over paths of the chain."""
    base = [leaf.detach() + 0.1 for leaf in problem.parameters]
    found = divergence(problem, base)

    def log_density(path):
        state, total = problem.rollout.start(problem.x_T), 0.0
        for k, point in enumerate(path):
            interval = problem.rollout.interval(k)
            if problem.rollout.rule.std(interval):
                total = total + problem.rollout.rule.log_prob(problem.rollout.field, state, interval, point)
            state = (point, *state[1:])
        return total

    with torch.no_grad():
        state, path = problem.rollout.start(problem.x_T), []
        for k in range(problem.rollout.steps):
            state = problem.rollout.step(k, state)
            path.append(state[0])
        own = log_density(path)
        present = [leaf.detach().clone() for leaf in problem.parameters]
        for leaf, value in zip(problem.parameters, base, strict=True):
            leaf.copy_(value)
        ratio = own - log_density(path)
        for leaf, value in zip(problem.parameters, present, strict=True):
            leaf.copy_(value)
    assert found == pytest.approx(ratio.mean().item(), abs=4 * ratio.std().item() / len(ratio) ** 0.5)


def test_a_chain_without_noise_has_none():
    problem = gradbench.case("gaussian", dim=3).problem(sampler="ddim", steps=3)
    with pytest.raises(ValueError, match="has no density"):
        divergence(problem, problem.parameters)
