"""Low-rank adapters: which weights there are, and that none of their gradients vanishes."""

import pytest
import torch

from gradbench.models.lora import ATTENTION, add_lora
from tests.models import tiny


@pytest.fixture
def unet():
    return tiny.unet_condition()


def test_every_projection_of_attention_has_two_weights_of_the_rank(unet):
    layers = sum(name.rsplit("attn", 1)[-1][2:] in ATTENTION for name, _ in unet.named_modules())
    lora = add_lora(unet, rank=3, seed=0)
    assert layers and len(lora) == 2 * layers and all(3 in p.shape for p in lora)


def test_all_else_is_frozen(unet):
    lora = add_lora(unet, rank=2, seed=0)
    assert {id(p) for p in unet.parameters() if p.requires_grad} == {id(p) for p in lora}


def test_the_seed_decides_them():
    first, second, other = (add_lora(tiny.unet_condition(), 2, seed) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], other[0])


def test_no_gradient_is_zero(unet):
    """peft's own start, B = 0, would leave all those of A zero."""
    lora = add_lora(unet, rank=2, seed=0)
    out = unet(torch.ones(1, 4, 8, 8), 500, encoder_hidden_states=torch.ones(1, 3, 32) + torch.arange(3)[None, :, None])
    assert all(g.abs().max() > 0 for g in torch.autograd.grad((out.sample**2).sum(), lora))


@pytest.mark.parametrize("rank", [0, -1, 1.5, True])
def test_a_rank_that_is_none_is_refused(unet, rank):
    with pytest.raises(ValueError, match="rank must be an integer >= 1"):
        add_lora(unet, rank, 0)
