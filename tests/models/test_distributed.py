"""Two processes: DDP around a module whose forward samples, and what is refused."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import gradbench
from gradbench.models.lora import add_lora
from gradbench.models.stable_diffusion import TINY, random_pipeline
from gradbench.problems.gradients import relative_error

RANKS, BATCH, STEPS = 2, 4, 2
GRADIENTS = ("backprop", "checkpoint", "adjoint-deis")


class Sampler(nn.Module):
    """What DDP wraps: its hooks wait for the parameters' gradients only after a forward pass of its own."""

    def __init__(self, parts, gradient):
        super().__init__()
        self.denoiser, self.grid, self.gradient = parts.denoiser, parts.grid(STEPS), gradient

    def forward(self, x_T):
        lora = [parameter for parameter in self.denoiser.parameters() if parameter.requires_grad]
        return gradbench.sample(self.denoiser, x_T, grid=self.grid, gradient=self.gradient, wrt=lora)


def tiny():
    pipe = random_pipeline(TINY).to(torch.float64)
    return pipe, gradbench.from_pipeline(pipe, "a cat"), add_lora(pipe.unet, rank=2, seed=0, scale=0.3)


def loss(x_0):
    """A mean over the batch, to match DDP's mean over ranks."""
    return x_0.sin().flatten(1).sum(1).mean()


def taken(lora):
    grads = tuple(parameter.grad for parameter in lora)
    for parameter in lora:
        parameter.grad = None
    return grads


def refusal(call):
    try:
        call()
    except ValueError as error:
        return str(error)
    return ""


def rank_of_two(rank, folder):
    """Everything that one process does; what it found goes to a file."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=RANKS)
    pipe, parts, lora = tiny()
    x_T = parts.noise(BATCH)[rank::RANKS]
    found = {}
    for gradient in GRADIENTS:
        wrapped = DistributedDataParallel(Sampler(parts, gradient))
        loss(wrapped(x_T)).backward()
        found[gradient] = taken(lora)
    wrapped = DistributedDataParallel(Sampler(parts, "checkpoint"))
    loss(wrapped.module(x_T)).backward()
    found["around"] = taken(lora)
    with wrapped.no_sync():
        (loss(wrapped(x_T[:1])) / 2).backward()
    (loss(wrapped(x_T[1:])) / 2).backward()
    found["accumulated"] = tuple(parameter.grad.clone() for parameter in lora)
    torch.optim.AdamW(lora, lr=1e-2).step()
    found["updated"] = tuple(parameter.detach().clone() for parameter in lora)

    class Inside(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = DistributedDataParallel(network)

    parts.denoiser.network, network = Inside(parts.denoiser.network), parts.denoiser.network
    found["ddp inside"] = refusal(lambda: gradbench.sample(parts.denoiser, x_T, wrt=lora))
    parts.denoiser.network = network
    fully_shard(pipe.unet)
    shards = [parameter for parameter in pipe.unet.parameters() if parameter.requires_grad]
    found["fsdp"] = refusal(lambda: gradbench.sample(parts.denoiser, x_T, wrt=shards))
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(rank_of_two, args=(str(folder),), nprocs=RANKS)
    return [torch.load(folder / f"{rank}.pt") for rank in range(RANKS)]


@pytest.fixture(scope="module")
def single():
    """The gradient of the joined batch in one process, and that of each half."""
    _, parts, lora = tiny()
    x_T = parts.noise(BATCH)

    def gradient_of(x_T, gradient="checkpoint"):
        loss(Sampler(parts, gradient)(x_T)).backward()
        return taken(lora)

    return lambda gradient: gradient_of(x_T, gradient), [gradient_of(x_T[rank::RANKS]) for rank in range(RANKS)]


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_ddp_averages_to_the_gradient_of_the_joined_batch(found, single, gradient):
    expected = single[0](gradient)
    assert all(relative_error(of_rank[gradient], expected) < 1e-13 for of_rank in found)


def test_accumulation_under_no_sync_is_averaged_once_at_the_end(found, single):
    expected = single[0]("checkpoint")
    assert all(relative_error(of_rank["accumulated"], expected) < 1e-13 for of_rank in found)


def test_ranks_hold_the_same_weights_after_an_update(found):
    assert all(torch.equal(a, b) for a, b in zip(*(of_rank["updated"] for of_rank in found), strict=True))


def test_a_sample_that_goes_around_ddps_forward_has_the_gradient_of_its_rank_alone(found, single):
    for of_rank, own in zip(found, single[1], strict=True):
        assert relative_error(of_rank["around"], own) < 1e-13


def test_ddp_inside_of_the_denoiser_is_refused(found):
    assert "network.network is a DistributedDataParallel: wrap the module whose forward calls" in found[0]["ddp inside"]


def test_a_network_sharded_by_fsdp_is_refused(found):
    assert "is a FSDPUNet2DConditionModel: FSDP is not supported" in found[0]["fsdp"]


def test_a_network_wrapped_by_the_first_fsdp_is_refused():
    class FullyShardedDataParallel(nn.Module):
        pass

    _, parts, lora = tiny()
    parts.denoiser.network.around = FullyShardedDataParallel()
    with pytest.raises(ValueError, match=r"network.around is a FullyShardedDataParallel: FSDP is not supported"):
        gradbench.sample(parts.denoiser, parts.noise(1), wrt=lora)
