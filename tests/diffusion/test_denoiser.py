import pytest
import torch
from torch import nn

from gradbench import NetworkDenoiser
from gradbench.diffusion.denoiser import PREDICTIONS, NetworkPrediction
from gradbench.diffusion.schedule import make_schedule

ALPHA, SIGMA = 0.6, 0.8
X0, EPS = torch.tensor([[0.3, -1.2]], dtype=torch.float64), torch.tensor([[1.1, 0.4]], dtype=torch.float64)
X = ALPHA * X0 + SIGMA * EPS
VALUES = {"eps": EPS, "x0": X0, "v": ALPHA * EPS - SIGMA * X0, "score": -EPS / SIGMA, "flow": EPS - X0}


@pytest.mark.parametrize("kind", PREDICTIONS)
@pytest.mark.parametrize("asked", PREDICTIONS)
def test_every_parametrisation_gives_every_other(kind, asked):
    prediction = NetworkPrediction(kind, VALUES[kind], X, ALPHA, SIGMA)
    assert torch.allclose(getattr(prediction, asked), VALUES[asked], rtol=1e-14, atol=1e-15)


def test_asking_for_the_predicted_tensor_costs_nothing():
    assert NetworkPrediction("eps", EPS, X, ALPHA, SIGMA).eps is EPS


def test_an_eps_network_has_no_x0_at_alpha_zero():
    with pytest.raises(ValueError, match="alpha = 0"):
        _ = NetworkPrediction("eps", EPS, X, 0.0, 1.0).x0


class Linear(nn.Module):
    """Remembers what it was given."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(2, dtype=torch.float64))
        self.seen = []

    def forward(self, x, time, condition):
        self.seen.append((x.shape, time.item()))
        return x @ self.weight + (0 if condition is None else condition.sum(1))


def test_the_network_is_told_the_index_it_was_trained_on():
    network = Linear()
    NetworkDenoiser(network, make_schedule("scaled-linear"))(X, 0.5)
    assert network.seen[0][1] == pytest.approx(499)


def test_guidance_is_one_doubled_batch_counted_once():
    network, condition = Linear(), torch.ones(3, 2, dtype=torch.float64)
    denoiser = NetworkDenoiser(
        network, make_schedule("scaled-linear"), condition=condition, null_condition=0 * condition, guidance=2.5
    )
    got = denoiser(X, 0.5).eps
    assert network.seen == [(torch.Size([2, 2]), pytest.approx(499))] and denoiser.calls == 1
    assert torch.allclose(got, X + 2.5 * 3)


def test_guidance_without_a_null_condition_is_refused():
    with pytest.raises(ValueError, match="null_condition"):
        NetworkDenoiser(Linear(), make_schedule("vp-linear"), condition=torch.ones(1, 2), guidance=3.0)


def test_evaluations_pulled_back_are_counted():
    denoiser = NetworkDenoiser(Linear(), make_schedule("vp-linear"))
    x = X.clone().requires_grad_()
    values = [denoiser.field(x, t, (0.0, 1.0)) for t in (0.2, 0.5, 0.9)]
    values[0].sum().backward()
    assert (denoiser.calls, denoiser.pulled) == (3, 1)
