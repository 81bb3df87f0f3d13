"""Live bytes against a closed form, to the byte."""

import gc

import pytest
import torch

from gradbench.measure.live_bytes import LiveBytes

STEPS, SIDE = 10, 1024


def chain(steps):
    """x <- x + 0.1 tanh(x W), loss = sum x, backward; x is dropped before the backward pass."""
    x_0, weight = torch.ones(512, SIDE, requires_grad=True), torch.ones(SIDE, SIDE, requires_grad=True)
    with LiveBytes([x_0, weight]) as counted:
        x = x_0
        for _ in range(steps):
            x = x + 0.1 * torch.tanh(x @ weight)
        loss = x.sum()
        del x
        loss.backward()
    return counted, (x_0, weight, loss)


def test_the_peak_of_a_chain_is_its_closed_form_to_the_byte():
    # x_1..x_{T-2}, v_1..v_{T-2}, three gradients of a state, W's new gradient and its total, the loss and its gradient
    counted, _ = chain(STEPS)
    state, matrix = 512 * SIDE * 4, SIDE * SIDE * 4
    assert counted.peak - counted.baseline == (2 * STEPS - 1) * state + 2 * matrix + 8 == 48_234_504


def test_what_is_left_are_the_gradients():
    counted, (x_0, weight, _) = chain(3)
    assert counted.live - counted.baseline == x_0.grad.nbytes + weight.grad.nbytes + 4


def test_a_second_run_gives_the_same_bytes():
    assert chain(4)[0].peak == chain(4)[0].peak


def test_views_are_not_counted_twice():
    with LiveBytes() as counted:
        x = torch.zeros(1000)
        y = x.view(10, 100)[2:]
    assert counted.peak == 4000 and y.numel()


def test_what_existed_before_is_the_baseline():
    x = torch.zeros(1000)
    with LiveBytes([x, x[10:]]) as counted:
        x.add_(1)
    assert (counted.baseline, counted.peak) == (4000, 4000)


def test_shapes_without_memory_are_no_bytes():
    """What is on `meta`, and zero tangents, which forward mode makes of both kinds inside itself."""
    with LiveBytes() as counted:
        shape, zero = torch.empty(1000, device="meta"), torch._efficientzerotensor((1000,))
        assert shape.shape == zero.shape
    assert counted.peak == 0


def test_collection_is_off_inside_and_as_it_was_outside():
    assert gc.isenabled()
    with LiveBytes():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_fake_run_gives_the_bytes_of_a_real_one():
    from torch._subclasses.fake_tensor import FakeTensorMode

    def run():
        x = torch.zeros(64, 64, requires_grad=True)
        with LiveBytes([x]) as counted:
            y = x
            for _ in range(5):
                y = torch.tanh(y @ x)
            torch.autograd.grad(y.sum(), x)
        return counted.peak

    real = run()
    with FakeTensorMode():
        fake = run()
    assert real == fake


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_the_bytes(threads):
    torch.set_num_threads(threads)
    try:
        counted, _ = chain(3)
        assert counted.peak - counted.baseline == 5 * 2**21 + 2 * 2**22 + 8
    finally:
        torch.set_num_threads(1)
