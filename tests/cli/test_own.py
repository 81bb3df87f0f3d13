"""User-defined samplers and objectives reach the command line and the library by module:attribute."""

import json
import shutil

import pytest

from tests.command_line import gradbench
from tests.quick import quick

MINE = '''
from torch import nn

from gradbench import Rule
from gradbench.entry import Entry
from gradbench.objectives.catalogue import ObjectiveSpec
from gradbench.samplers.runge_kutta import EULER
from gradbench.samplers.stochastic import Diffused

EULER_SDE = Diffused(EULER)
NUMBER = 5


class AB2(Rule):
    """Two-step Adams-Bashforth, its second weight times gamma."""

    order, stages = 2, 1

    def __init__(self, gamma=1.0):
        if gamma < 0:
            raise ValueError(f"gamma must be >= 0, got {gamma}")
        self.gamma = gamma

    def step(self, field, state, interval):
        point, *history = state
        slope = field(interval.t0, point)
        if not history:
            return interval.add(interval.carry(point), 1.0, slope), slope
        w = self.gamma * interval.h / (2 * interval.before.h)
        end = interval.add(interval.carry(point), 1.0 + w, slope)
        return interval.add(end, -w, history[0]), slope


ENTRY = Entry(
    "any", "mine", "mine:AB2", "Me, 2026", defaults={"gamma": 1.0, "chart": "noise"},
    traits={"stochastic": False, "order": 2, "stages": 1},
)


class Brightness(nn.Module):
    """objective(x)_b = the mean of x_b."""

    def forward(self, x):
        return x.flatten(1).mean(1)


def brightness(x):
    """objective(x)_b = the mean of x_b."""
    return x.flatten(1).mean(1)


def shifted(shape, seed):
    """|x_b - seed|^2 / 2."""
    return lambda x: 0.5 * (x - seed).square().flatten(1).sum(1)


def of_the_batch(x):
    return x.mean()


def two(x, y):
    return x


LATENT = ObjectiveSpec("any", "of the latent", "mine:Brightness", on="latent")
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The current folder, with mine.py in it."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    import sys

    sys.modules.pop("mine", None)


def rows(*words, cwd):
    done = gradbench("run", "--steps", 6, "--out", cwd / "out", "--json", *words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_sampler_runs_beside_the_one_that_it_is(mine):
    words = ("--sampler", "mine:AB2[chart=log-snr]", "--sampler", "ab2[chart=log-snr]")
    own, ours = rows("-c", "gaussian", "-e", "checkpoint", *words, cwd=mine)
    assert own["sampler"] == "mine:AB2"
    assert own["sampler_params"] == {"gamma": 1.0, "chart": "log-snr", "grid": "uniform-t"}
    assert own["flow_error_x_T"] == ours["flow_error_x_T"] and own["sampler_error_x_T"] == 0


def test_an_objective_is_in_the_rows_case_and_is_what_is_differentiated(mine):
    (row,) = rows("-c", "gaussian[objective=mine:brightness]", "-e", "backprop", "--target", "x_T", cwd=mine)
    assert row["case_params"]["objective"] == "mine:brightness" and row["flow_error_x_T"] < 0.5


def test_a_folder_of_cases_may_hold_samplers_and_objectives(mine):
    from gradbench.problems.folders import shipped_folder

    own = mine / "own"
    shutil.copytree(shipped_folder() / "dirac", own / "twin")
    case = own / "twin" / "case.py"
    case.write_text(case.read_text().replace('name="dirac"', 'name="twin"'))
    (mine / "mine.py").rename(own / "inside.py")
    words = ("--cases", own, "-c", "twin[objective=inside:Brightness]", "--sampler", "inside:AB2", "-e", "checkpoint")
    (row,) = rows(*words, cwd=mine)
    assert (row["status"], row["sampler"], row["case_params"]["objective"]) == ("ok", "inside:AB2", "inside:Brightness")


def test_options_of_a_class_are_its_keyword_arguments(mine):
    import gradbench as library

    half, whole = (
        library.case("gaussian").problem(sampler=f"mine:AB2[gamma={gamma}]").rollout.rule.gamma for gamma in (0.5, 1)
    )
    assert (half, whole) == (0.5, 1.0)


def test_sample_takes_a_sampler_by_its_place(mine):
    import torch

    import gradbench as library

    problem = library.case("gaussian").problem()
    law, x_T = problem.denoiser, problem.x_T
    wrt = [law.condition, law.log_std]
    theirs, ours = (
        library.sample(law, x_T, sampler=name, steps=7, gradient="checkpoint", wrt=wrt) for name in ("mine:AB2", "ab2")
    )
    assert torch.equal(theirs, ours)


def test_a_rule_on_the_reverse_sde_has_a_chart_of_one_and_is_stochastic(mine):
    from gradbench.samplers.spec import sampler_spec

    own, ours = (sampler_spec(name).traits for name in ("mine:EULER_SDE[chart=time-sde]", "euler-maruyama"))
    assert sampler_spec("mine:EULER_SDE").chart == "noise-sde"
    assert {name: own[name] for name in ours} == ours


def test_an_entry_of_ones_own_may_be_named(mine):
    from gradbench.samplers.spec import sampler_spec

    spec = sampler_spec("mine:ENTRY[gamma=0.5]")
    assert spec.params == {"gamma": 0.5, "chart": "noise", "grid": "uniform-t"} and spec.rule.gamma == 0.5


def test_a_rule_with_a_history_is_told_to_be_one(mine):
    from gradbench.samplers.spec import sampler_spec

    assert sampler_spec("mine:AB2").traits["multistep"] and not sampler_spec("mine:EULER_SDE").traits["multistep"]


def test_every_kind_of_objective_gives_its_gradient(mine):
    import torch

    import gradbench as library

    def gradient(objective):
        problem = library.case("gaussian", objective=objective).problem(steps=5, seed=3)
        return library.estimator("backprop")(problem).grads["x_T"]

    assert torch.equal(gradient("mine:brightness"), gradient("mine:Brightness"))
    assert not torch.equal(gradient("mine:shifted"), gradient("mine:brightness"))


def test_terms_of_a_sum_may_be_ones_own(mine):
    import torch

    from gradbench.objectives.catalogue import make_objective

    x = torch.rand(2, 3, 8, 8)
    made = make_objective("2*mine:Brightness-colourfulness", (3, 8, 8), 0).image
    alone = make_objective("colourfulness", (3, 8, 8), 0).image
    assert torch.allclose(made(x), 2 * x.flatten(1).mean(1) - alone(x))


def test_an_objective_may_judge_latents(mine):
    from gradbench.objectives.catalogue import make_objective

    made = make_objective("mine:LATENT", (4, 8, 8), 0, image_shape=(3, 64, 64))
    assert made.image is None and made.latent is not None


def test_show_tells_what_code_of_ones_own_is(mine):
    for name, kind in (("mine:AB2", "sampler"), ("mine:Brightness", "objective"), ("mine:brightness", "objective")):
        assert gradbench("show", name, cwd=mine).stdout.startswith(f"{kind} {name}: ")
    assert "  chart=noise  time, noise, data, angle, log-snr\n" in gradbench("show", "mine:AB2", cwd=mine).stdout


@pytest.mark.parametrize(
    "words",
    [
        ("-e", "checkpoint", "--sampler", "mine:AB2"),
        ("-c", "gaussian[objective=mine:brightness]", "-e", "checkpoint"),
    ],
)
@pytest.mark.slow
def test_rows_of_code_of_ones_own_that_has_changed_are_told_to_be_stale(words, mine):
    line = ("run", *(() if "-c" in words else ("-c", "gaussian")), *words, "--steps", 2, "--out", "out")
    gradbench(*line, cwd=mine)
    assert "other code" not in gradbench(*line, cwd=mine).stderr
    (mine / "mine.py").write_text(MINE + "\n\nOTHER = 1\n")
    assert "1 rows there were made by different code" in gradbench(*line, cwd=mine).stderr
    assert "1 rows were made by different code" in gradbench("status", "out", cwd=mine).stdout


WRONG = [
    (("--sampler", "mine:Nothing"), "'mine:Nothing' cannot be loaded: module 'mine' has no attribute 'Nothing'"),
    (("--sampler", "nosuch:X"), "'nosuch:X' cannot be loaded: there is no module 'nosuch' on the path"),
    (("--sampler", "mine:NUMBER"), "'mine:NUMBER' of the user's own gives 5; it must give an Entry or a class"),
    (("--sampler", "mine:Brightness"), "makes Brightness, which is not a gradbench.Rule"),
    (("--sampler", "mine:brightness"), "cannot be made of its options alone"),
    (("--sampler", "mine:AB2[gama=1]"), "unknown option of mine:AB2 'gama'; did you mean 'gamma'?"),
    (("--sampler", "mine:AB2[gamma=-1]"), "gamma must be >= 0, got -1"),
    (("--sampler", "mine:AB2[chart=noise-sde]"), "unknown chart 'noise-sde'; did you mean 'noise'?"),
    (("--sampler", "mine:AB2[grid=leding]"), "unknown grid 'leding'; did you mean 'leading'?"),
    (("-c", "gaussian[objective=mine:Nothing]"), "'mine:Nothing' cannot be loaded"),
    (("-c", "gaussian[objective=mine:two]"), "objective 'mine:two' needs x, y: a function of the sample x, or"),
    (("-c", "gaussian[objective=mine:ENTRY]"), "objective 'mine:ENTRY' is an Entry: it must be an ObjectiveSpec"),
    (("-c", "gaussian[objective=brightness]"), "unknown objective 'brightness'; allowed: quadratic+sine, quadratic"),
    (("-c", "sd-tiny[objective=style-mine:Nothing]"), "'mine:Nothing' cannot be loaded"),
]


@pytest.mark.parametrize(
    ("words", "message"),
    quick(WRONG, 0, 3, 6, 9, 12),
    ids=lambda v: " ".join(v) if isinstance(v, tuple) else None,
)
def test_what_cannot_be_is_one_line_before_anything_runs(words, message, mine):
    done = gradbench("run", *(() if "-c" in words else ("-c", "gaussian")), *words, "--dry-run", cwd=mine)
    assert done.returncode == 2 and done.stdout == "" and message in done.stderr and done.stderr.count("\n") == 1


def test_an_objective_of_the_whole_batch_is_an_error_and_not_a_number(mine):
    import gradbench as library

    problem = library.case("gaussian", objective="mine:of_the_batch").problem(steps=2)
    with pytest.raises(ValueError, match=r"must give one value per sample, shape \(4,\), got \(\)"):
        library.estimator("backprop")(problem)
