"""The tasks on the digits model: where they start, what they keep, what they score."""

import base64
import importlib
import json
from dataclasses import replace

import pytest
import torch

import gradbench
from gradbench.bench.row import Row
from gradbench.problems.case import make_case
from gradbench.problems.folders import case_specs
from gradbench.report.html import write_report
from gradbench.tasks.curve import Curve, read_curve
from gradbench.tasks.drawn import judging
from gradbench.tasks.optimise import optimise
from tests.command_line import gradbench as command

TASKS = [name for name, spec in case_specs().items() if spec.task is not None]
PICTURES = {"stylise", "morph"}  # those on the network of emoji
SLOW_ON_PICTURES = [pytest.param(name, marks=[pytest.mark.slow] * (name in PICTURES)) for name in TASKS]
recognised = importlib.import_module("gradbench_cases.trained").recognised  # the package is made by case_specs


def made(name, sampler="ddim", steps=3, **params):
    small = {"batch": 2} if name in PICTURES else {}
    case = make_case(name, {"updates": 2, "checkpoints": 1, **small, **params})
    problem = case.problem(sampler=sampler, steps=steps)
    return case.spec.task(problem, case.params)


def run(task, estimator="checkpoint"):
    return optimise(task, gradbench.estimator(estimator), Curve(None))


def scores(task):
    with torch.no_grad():
        return task.scores()


@pytest.mark.parametrize("name", SLOW_ON_PICTURES)
def test_a_task_moves_its_objective_the_way_it_says(name):
    task = made(name, updates=4)
    row = run(task)
    assert row["status"] == "ok" and row["updates"] == 4
    assert (row["last_objective"] < row["first_objective"]) == task.falling


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"updates": 0}, "updates must be an integer >= 1"),
        ({"lr": -1}, "lr must be"),
        ({"rule": "newton"}, "unknown rule 'newton'"),
        ({"model": "gpt"}, "unknown model 'gpt'"),
        ({"objective": "beauty"}, "beauty"),
    ],
)
def test_a_setting_that_no_task_can_take_is_named(name, given, message):
    with pytest.raises(ValueError, match=message):
        make_case(name, given)


def test_fine_tuning_starts_at_the_network_as_it_was_trained():
    task = made("align")
    with torch.no_grad():
        own = gradbench.case("digits", label=task.seen[0].name).problem(steps=3)
        for leaf in own.parameters:
            leaf.zero_()
        many = judging(
            replace(task.problem, x_T=torch.cat([task.problem.x_T[:1]] * 9)), 0
        )  # nine prompts, one noise each
        expected = (own.rollout.sample(many.x_T[:1]) + 1) / 2
        assert torch.allclose(task.pictures()[:1], expected, atol=1e-6)


def test_fine_tuning_is_scored_on_the_same_noise_for_every_seed():
    case = make_case("align", {})
    tasks = [case.spec.task(case.problem(steps=2, seed=seed), case.params) for seed in (0, 1)]
    with torch.no_grad():
        assert torch.equal(*(task.pictures() for task in tasks))


def test_no_held_out_prompt_is_seen():
    task = made("align")
    assert not {p.name for p in task.seen} & {p.name for p in task.unseen}


def test_a_stochastic_chain_is_also_scored_by_its_divergence_from_the_base():
    task = made("align", "ddim[eta=1]")
    assert scores(task)["divergence"] == 0
    run(task)
    assert scores(task)["divergence"] > 0 and "divergence" not in scores(made("align"))


def test_the_judge_of_a_reward_is_another_network():
    prompt = made("noise").prompt
    reward, judge = (dict(part.named_parameters()) for part in (prompt.reward, prompt.judge))
    assert not any(
        reward[k].shape == judge[k].shape and torch.equal(reward[k], judge[k]) for k in reward.keys() & judge
    )


def test_an_audit_starts_where_both_classifiers_are_right():
    task = made("audit", batch=4)
    assert scores(task) | {"success": 0, "fooled": 0, "distance": 0} == scores(task)


def test_an_audit_stays_within_its_bound():
    task = made("audit", batch=4, lr=5.0, bound=0.3)
    run(task)
    assert (task.problem.x_T - task.start).abs().max() == pytest.approx(0.3, rel=1e-6)


@pytest.mark.parametrize("rule", ["normalised", "adam"])
def test_a_fooled_picture_stays_as_it_is(rule):
    task = made("audit", batch=4, lr=5.0, bound=2.0, updates=1, rule=rule)
    run(task)
    after = task.problem.x_T.clone()
    fooled = ~recognised(task.prompt.reward, task.problem.rollout.sample(after))
    estimate = gradbench.estimator("checkpoint")(task.problem)
    task.move(estimate)
    assert fooled.any() and torch.equal(task.problem.x_T[fooled], after[fooled])
    assert not torch.equal(task.problem.x_T[~fooled], after[~fooled]) or fooled.all()


def test_the_hidden_embedding_has_no_error():
    task = made("inversion")
    assert scores(task)["distance"] == 1
    task.problem.condition.data.copy_(task.hidden)
    assert scores(task) == {"objective": 0, "held_out": 0, "distance": 0}


def test_the_pixel_error_of_copies_of_a_batch_is_that_of_each():
    error = made("inversion").problem.objective
    x = torch.randn(8, 1, 8, 8)
    assert torch.equal(error(x), torch.cat([error(x[:4]), error(x[4:])]))


def test_the_sphere_keeps_every_noises_length():
    task = made("noise", lr=0.5)
    before = task.problem.x_T.flatten(1).norm(dim=1).clone()
    run(task)
    assert torch.allclose(task.problem.x_T.flatten(1).norm(dim=1), before, rtol=1e-6)


def test_the_shell_draws_a_length_to_its_most_likely():
    task = made("noise", shell="shell", rule="descent", lr=0.01)
    with torch.no_grad():
        task.problem.x_T.mul_(63**0.5 / task.problem.x_T.flatten(1).norm(dim=1)[:, None, None, None])
    assert task._rise("x_T").abs().max() < 1e-5  # the mode of the length is sqrt(d - 1)


def test_all_noises_move_where_they_are_asked_to():
    task = made("noise", "ddim[eta=1]", noises="all")
    before = [task.problem.rollout.noise(k).detach().clone() for k in range(3)]
    lengths = [b.flatten(1).norm(dim=1) for b in before]
    run(task)
    after = [task.problem.rollout.noise(k) for k in range(3)]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(torch.allclose(a.flatten(1).norm(dim=1), n, rtol=1e-6) for a, n in zip(after, lengths, strict=True))


@pytest.mark.parametrize("name", SLOW_ON_PICTURES)
def test_a_task_runs_in_double_precision(name):
    case = make_case(name, {"updates": 1, "checkpoints": 1})
    task = case.spec.task(case.problem(steps=2, dtype="float64"), case.params)
    assert run(task)["optimise_cosine"] == pytest.approx(1, abs=1e-12)


def test_a_distance_is_lowered_and_a_score_raised_unless_the_direction_says_otherwise():
    falls = importlib.import_module("gradbench_cases.trained").falls
    told = {
        (objective, direction): falls({"model": "emoji", "objective": objective, "direction": direction})
        for objective in ("gram", "alignment")
        for direction in ("better", "raise", "lower")
    }
    assert told == {
        **{("gram", "better"): True, ("gram", "raise"): False, ("gram", "lower"): True},
        **{("alignment", "better"): False, ("alignment", "raise"): False, ("alignment", "lower"): True},
    }


def test_a_run_stores_a_row_and_a_curve(tmp_path):
    out = tmp_path / "out"
    done = command(
        *("run", "-c", "inversion[updates=2,checkpoints=1]", "-e", "checkpoint", "-e", "draft[k=1,draws=1]"),
        *("--sampler", "ddim", "--steps", 2, "--out", out),
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for file in out.glob("rows-*.jsonl") for line in file.read_text().splitlines()]
    ok = [row for row in rows if row["status"] == "ok"]
    assert ok and all(row["updates"] == 2 and row["peak_bytes"] > 0 for row in ok)
    for row in ok:
        points = read_curve(out / "curves" / f"{row['cell_id']}-0.jsonl")
        last = {p.metric: p.value for p in points if p.update == 2}
        assert last["objective"] == row["last_objective"] and last["queries"] == row["optimise_queries"]
        picture = base64.b64encode((out / "curves" / f"{row['cell_id']}-0.png").read_bytes()).decode()
        assert picture in (out / "report.html").read_text()


def test_a_row_of_somebody_else_brings_no_file_into_the_report(tmp_path):
    (tmp_path / "curves").mkdir()
    (tmp_path / "secret-0.png").write_bytes(b"secret")
    row = Row({"case": "align", "estimator": "checkpoint", "status": "ok", "updates": 1, "cell_id": "../secret"})
    page = write_report([row], tmp_path / "report.html", curves=tmp_path / "curves").read_text()
    assert base64.b64encode(b"secret").decode() not in page and "<img" not in page


ON_EMOJI = [
    *(
        ("align", name)
        for name in ("alignment", "concept", "style", "gram", "recogniser", "jpeg-size", "colourfulness")
    ),
    *(("noise", "alignment"), ("audit", "concept"), ("inversion", "alignment")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "objective"), ON_EMOJI)
def test_a_task_runs_on_the_pipeline_of_emoji(name, objective):
    task = made(name, steps=4, model="emoji", objective=objective, guidance=3.0, batch=2, updates=1)
    row = run(task)
    assert row["status"] == "ok" and row["optimise_evaluations"] == 1 * 2 * 4 * 2
    assert all(
        isinstance(row[f"{end}_{score}"], float) for end in ("first", "last") for score in ("objective", "held_out")
    )


def test_an_audit_needs_a_classifier():
    with pytest.raises(ValueError, match="objective of model emoji 'style'"):
        make_case("audit", {"model": "emoji", "objective": "style"})


def test_the_untouched_network_has_the_look_one_and_nothing_lost():
    task = made("stylise", steps=2)
    assert scores(task)["objective"] == pytest.approx(1, abs=1e-3)  # the Gram distance over itself; no content is lost
    assert scores(task)["held_out"] == pytest.approx(1, abs=1e-5)


def test_full_weights_move_every_weight_of_the_network_and_no_adapter():
    case = make_case("stylise", {"moves": "full", "batch": 1})
    problem = case.problem(sampler="ddim", steps=2)
    adapters = [leaf for name, leaf in problem.denoiser.named_parameters() if "lora_" in name]
    assert sum(leaf.numel() for leaf in problem.parameters) > 4_000_000
    assert not {id(leaf) for leaf in adapters} & {id(leaf) for leaf in problem.parameters}


@pytest.mark.slow
def test_a_morph_starts_half_way_between_the_codes_of_two_pictures():
    """With a weight at either end its sample is the reconstruction of that picture."""
    morph = importlib.import_module("gradbench_cases.morph.task")
    task = made("morph", steps=20)
    pairs = morph.pairs_of(task.problem.seed, 2)
    pictures = morph.look(pairs, 0)
    x_T, condition = morph.encoded(task.problem, pictures[0], pairs[:, 0])
    task.problem.condition.data.copy_(condition)
    with torch.no_grad():
        again = task.decode(task.problem.rollout.sample(x_T))
    assert (again - pictures[0]).abs().mean() < 0.08 < (again - pictures[1]).abs().mean()


def test_one_pair_in_a_thousand_passes_the_threshold():
    morph = importlib.import_module("gradbench_cases.morph.task")
    emoji, shipped = (importlib.import_module(f"gradbench_cases.emoji.{name}") for name in ("data", "shipped"))
    recogniser, names = shipped.judge("recogniser-1"), emoji.load().names
    with torch.no_grad():
        one, other = (recogniser(2 * morph.pictures(range(300), style) - 1) for style in (0, 1))
    unlike = torch.tensor([[a != b for b in names[:300]] for a in names[:300]])
    alike = one @ other.T > morph.threshold("recogniser-1")
    assert alike[unlike].float().mean() < 5e-3 < 0.8 < alike.diagonal().float().mean()


def test_pairs_are_of_unlike_names_that_differ_from_seed_to_seed():
    morph = importlib.import_module("gradbench_cases.morph.task")
    names = importlib.import_module("gradbench_cases.emoji.data").load().names
    first, second = (morph.pairs_of(seed, 6) for seed in (0, 1))
    assert all(names[a] != names[b] for a, b in first) and not (first == second).all()


@pytest.mark.parametrize("name", [name for name in TASKS if name not in PICTURES])
def test_what_a_task_makes_is_a_picture(name):
    shown = made(name).pictures()
    assert shown.ndim == 4 and shown.shape[1] in (1, 3)


def test_a_sum_of_rewards_is_the_sum_of_their_values():
    x_0 = torch.randn(2, 4, 8, 8)
    trained = importlib.import_module("gradbench_cases.trained")
    case = make_case("align", {"model": "emoji", "objective": "alignment - 0.5*jpeg-size"})
    problem = case.problem(sampler="ddim", steps=1)
    values = {
        text: trained.prompt(problem, {**case.params, "objective": text}, "fire").judge(x_0)
        for text in ("alignment - 0.5*jpeg-size", "alignment", "jpeg-size")
    }
    whole = values.pop("alignment - 0.5*jpeg-size")
    assert torch.allclose(whole, values["alignment"] - 0.5 * values["jpeg-size"], rtol=1e-5)


@pytest.mark.parametrize("text", ["alignment + beauty", "0.5*", "json:loads"])
def test_a_sum_with_a_term_that_the_model_has_not_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="objective") as raised:
        make_case("align", {"model": "emoji", "objective": text})
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_the_true_size_of_files_is_scored_beside_the_smooth_one():
    task = made("align", model="emoji", objective="jpeg-size", batch=1)
    assert 300 < scores(task)["bytes"] < 3000


class Directions(torch.nn.Module):
    """A recogniser of pictures that are vectors already."""

    def forward(self, x):
        return torch.nn.functional.normalize((x + 1).flatten(1) / 2, dim=1)


def test_the_identity_loss_is_both_distances_and_their_difference():
    """Of copies (1, 1, 2, 2) of two pairs in turns, by hand: cosines 0 and 1, then 0.6 and 0.8."""
    identity = importlib.import_module("gradbench_cases.morph.task").Identity
    aims = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])  # (identities, pairs, width)
    loss = identity(torch.nn.Identity(), Directions(), aims)
    x = torch.tensor([[0.0, 2.0], [0.6, 0.8], [1.0, 0.0], [0.0, 1.0]])
    one, two = torch.tensor([1.0, 0.4, 0.0, 1.0]), torch.tensor([0.0, 0.2, 1.0, 0.0])
    assert torch.allclose(loss(x), one + two + (one - two).abs(), atol=1e-6)


def test_the_look_is_the_relative_gram_distance_and_the_lost_content():
    look = importlib.import_module("gradbench_cases.stylise.task").Look

    class Gram(torch.nn.Module):
        encoder = Directions()

        def forward(self, pictures):
            return pictures.sum(1)

    decoded = torch.nn.Module()
    decoded.decode, decoded.image = torch.nn.Identity(), Gram()
    base = torch.tensor([[1.0, 0.0], [0.0, 3.0]])  # sums 1 and 3: the unit is 2
    value = look(decoded, base, 0.5)(torch.tensor([[1.0, 0.0], [3.0, 4.0]]))
    assert torch.allclose(value, torch.tensor([1 / 2 + 0.5 * 0, 7 / 2 + 0.5 * (1 - 0.8)]), atol=1e-6)


def test_a_picture_is_encoded_over_the_grid_on_which_it_is_sampled():
    """Another grid for the way back would be another chain: with many steps both ways agree to the rule's order."""
    morph = importlib.import_module("gradbench_cases.morph.task")
    case = make_case("morph", {"batch": 1})
    problem = case.problem(sampler="ddim", steps=40)
    pictures = morph.pictures([0], 0)
    x_T, _ = morph.encoded(problem, pictures, [0])
    shipped = importlib.import_module("gradbench_cases.emoji.shipped")
    with torch.no_grad():
        again = problem.rollout.sample(x_T)
    own = problem.sampler.params["grid"]
    expected = gradbench.encode(problem.denoiser, shipped.latents(pictures), sampler=f"ddim[grid={own}]", steps=40)
    assert own == "leading" and torch.equal(x_T, expected)
    assert (again - shipped.latents(pictures)).norm() < 0.2 * again.norm()
