"""Shared fixtures: one thread, and problems small enough to differentiate many times."""

import pytest
import torch

import gradbench


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def gaussian():
    return gradbench.case("gaussian", dim=5, batch=3)


@pytest.fixture(scope="session")
def digits():
    return gradbench.case("digits", batch=2)
