"""A folder with the tiny pipeline's weights, written once."""

import shutil

import pytest

from gradbench.models.stable_diffusion import TINY, random_pipeline


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """What `save_pretrained` writes of the tiny pipeline."""
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    random_pipeline(TINY, seed=3).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of it to spoil."""
    return shutil.copytree(saved, tmp_path / "copy")
