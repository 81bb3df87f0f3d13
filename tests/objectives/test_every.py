"""What holds for every objective of the catalogue: gradients, batches, seeds, dtypes, and tensors without data."""

import copy

import pytest
import torch
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from gradbench.objectives.catalogue import IMAGE, OBJECTIVES, make_objective
from gradbench.objectives.decoded import Decoded

from .images import photo_crops

SHAPE = (3, 9, 10)
SMOOTH_SUM = "0.5*jpeg-size-colourfulness+2*style+scorer+target-image"


class Enlarge(torch.nn.Module):
    """A small decoder: (b, 3, h, w) -> images of twice the side."""

    def __init__(self):
        super().__init__()
        weight = torch.randn((3, 3, 3, 3), generator=torch.Generator().manual_seed(0)) / 5
        self.weight = torch.nn.Parameter(weight)

    def forward(self, z):
        larger = torch.nn.functional.interpolate(z, scale_factor=2)
        return torch.sigmoid(torch.nn.functional.conv2d(larger, self.weight, padding=1))


def objective_of(name, shape=SHAPE):
    made = make_objective(name, shape, seed=0)
    return made.image if made.latent is None else made.latent


def decoded_of(shape=SHAPE):
    c, h, w = shape
    made = make_objective(SMOOTH_SUM + "+target-latent", shape, 0, image_shape=(c, 2 * h, 2 * w))
    return Decoded(Enlarge(), made.image, made.latent)


EVERY = {
    **{name: lambda name=name: objective_of(name) for name in OBJECTIVES},
    "a sum": lambda: objective_of(SMOOTH_SUM),
    "decoded": decoded_of,
}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)


def batch(count=2):
    return photo_crops(1, count, 16, seed=0)[:, :, : SHAPE[1], : SHAPE[2]].clone()


def gradient_of(objective, x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(objective(x).sum(), x)[0]


@every
def test_the_gradient_is_that_of_finite_differences(make):
    assert torch.autograd.gradcheck(make().double(), batch().requires_grad_())


@every
def test_a_samples_value_and_gradient_do_not_depend_on_its_neighbours(make):
    objective, x = make().double(), batch(3)
    alone = [gradient_of(objective, one[None])[0] for one in x]
    assert torch.allclose(gradient_of(objective, x), torch.stack(alone), rtol=1e-10, atol=1e-12)
    assert torch.allclose(objective(x), torch.cat([objective(one[None]) for one in x]), rtol=1e-12)


@every
def test_the_seed_alone_fixes_it_and_the_global_generator_is_left_alone(make):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = make().state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    second = make().state_dict()
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", [name for name, spec in OBJECTIVES.items() if "seed" in spec.takes])
def test_another_seed_is_another_objective(name):
    x, made = batch(), [make_objective(name, SHAPE, seed) for seed in (0, 1)]
    first, second = ((each.image or each.latent).double()(x) for each in made)
    assert not torch.isclose(first, second, rtol=1e-3).any()


@every
def test_float32_agrees_with_float64(make):
    single, x = make(), batch()
    double = copy.deepcopy(single).double()
    assert torch.allclose(single(x.float()).double(), double(x), rtol=1e-4)
    expected = gradient_of(double, x)
    assert (gradient_of(single, x.float()).double() - expected).norm() < 1e-3 * expected.norm()


@every
def test_it_has_nothing_to_train(make):
    assert not any(parameter.requires_grad for parameter in make().parameters())


@every
def test_it_runs_forth_and_back_on_the_meta_device(make):
    gradient = gradient_of(make().to("meta"), batch().float().to("meta"))
    assert gradient.shape == (2, *SHAPE)


@every
def test_it_runs_forth_and_back_on_fake_tensors(make):
    mode = FakeTensorMode()
    real = make()
    with FakeCopyMode(mode):
        objective = copy.deepcopy(real)
    x = mode.from_tensor(batch().float())
    with mode:
        gradient = gradient_of(objective, x)
    assert gradient.shape == (2, *SHAPE)


@pytest.mark.parametrize("name", [n for n, spec in OBJECTIVES.items() if spec.on == IMAGE and n != "target-image"])
@pytest.mark.parametrize("shape", [(2, 1, 16, 16), (2, 16, 16), (2, 3, 256)])
def test_what_is_no_image_is_refused_with_its_shape(name, shape):
    with pytest.raises(ValueError, match="must be"):
        objective_of(name)(torch.zeros(shape))
