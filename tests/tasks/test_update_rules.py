"""How gradients move tensors."""

import torch

from gradbench.tasks import rules, settings


def test_the_rules_of_the_settings_are_those_there_are():
    assert tuple(rules.RULES) == settings.RULES


def test_a_normalised_step_has_the_same_length_for_every_sample():
    x = torch.zeros(3, 2, 2)
    x.grad = torch.randn(3, 2, 2) * torch.tensor([1e-6, 1.0, 1e6])[:, None, None]
    rules.normalised([x], 0.1).step()
    assert torch.allclose(x.flatten(1).norm(dim=1), torch.full((3,), 0.1))


def test_a_sample_without_a_gradient_stays():
    x = torch.ones(2, 3)
    x.grad = torch.tensor([[0.0, 0, 0], [1, 0, 0]])
    rules.normalised([x], 0.5).step()
    assert torch.equal(x, torch.tensor([[1.0, 1, 1], [0.5, 1, 1]]))
