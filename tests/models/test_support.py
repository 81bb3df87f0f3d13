"""The support matrix of pipelines: right or refused with a reason, nothing else; and its page agrees."""

import diffusers
import pytest
import torch
from diffusers.models.modeling_utils import ModelMixin

import gradbench
from gradbench.models.conventions import CONVENTIONS
from gradbench.models.network import told_by
from gradbench.models.pipeline import FAMILIES
from tests.models import support, tiny
from tests.models.support import ROWS, outcome

WRITTEN = support.PAGE.read_text() if support.PAGE.exists() else ""


def marked(row):
    return pytest.param(row, marks=[pytest.mark.slow] * ("compile" in row.option), id=f"{row.pipeline}-{row.option}")


@pytest.mark.parametrize("row", map(marked, ROWS))
def test_a_pipeline_is_right_or_refused_as_the_page_says(row):
    assert f"| `{row.pipeline}` | `{row.option}` | {outcome(row)} |" in WRITTEN.splitlines()


def test_the_page_names_every_network_that_is_known():
    for name, own in CONVENTIONS.items():
        assert f"| `{name}` | {own.told} | {'negated' if own.sign < 0 else 'unchanged'} |" in WRITTEN


def classes(kind):
    for name in dir(diffusers):
        try:
            found = getattr(diffusers, name)
        except (ImportError, RuntimeError):
            continue
        if isinstance(found, type) and issubclass(found, kind):
            yield name, found


def test_every_other_pipeline_of_diffusers_is_refused_by_name():
    from diffusers import DiffusionPipeline

    for name, kind in classes(DiffusionPipeline):
        if name not in FAMILIES:
            with pytest.raises(ValueError, match=f"pipeline {name} is not known"):
                gradbench.from_pipeline(object.__new__(kind))


def test_every_network_of_diffusers_is_known_or_asked_for():
    for name, kind in classes(ModelMixin):
        if ("Transformer" in name or "UNet" in name or "DiT" in name) and name not in CONVENTIONS:
            with pytest.raises(ValueError, match=f"{name} is not a network whose convention is known"):
                told_by(kind.__new__(kind), tiny.ddim(), gradbench.from_diffusers(tiny.ddim()))


def test_a_ddpm_pipeline_of_pixels_is_sampled_as_it_samples_itself():
    pipe, steps = tiny.ddpm_pipeline(), 4
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe(num_inference_steps=steps, generator=torch.Generator().manual_seed(0), output_type="np").images
    parts, own = gradbench.from_pipeline(pipe), torch.Generator().manual_seed(0)
    draws = [torch.randn(1, *parts.shape, generator=own) for _ in range(steps)]
    noise = torch.stack([*draws[1:], torch.zeros(1, *parts.shape)])
    x_0 = gradbench.sample(parts.denoiser, draws[0], sampler="ddpm", grid=parts.grid(steps), noise=noise)
    images = (x_0 / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1)
    assert support.relative(images, torch.as_tensor(theirs)) < 1e-5


def test_the_grid_is_there_after_a_loop_of_ones_own():
    pipe = support.sd()
    parts = gradbench.from_pipeline(pipe, "a cat")
    before = parts.grid(4)
    pipe("a cat", num_inference_steps=7)
    assert parts.grid(4) == before
