"""Pages of published rows: every number is a row's, and a page that says otherwise is found."""

import hashlib

import pytest

from gradbench.analysis.rows import params_of
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import Block, load_suite
from studies.pages.__main__ import FOLDER, PAGES, PREDICTED, ROOT, RUNS, written
from studies.pages.formats import error, gb, mib, percent, plain, spread, work
from studies.pages.headline import EMOJI, METHODS, SETTINGS, case_of
from studies.pages.published import BY_SEED, Published, Spread
from studies.pages.questions import Direction, claim


@pytest.fixture(scope="module")
def rows():
    return Published(RUNS)


def test_readme_and_pages_are_what_the_rows_say():
    assert [place.relative_to(ROOT) for place, text in written(RUNS).items() if place.read_text() != text] == []


def test_a_number_is_the_median_of_the_rows_of_its_seeds(rows):
    found = sorted(row["flow_error_x_T"] for row in rows.find("gaussian", "checkpoint", 20))
    assert len(found) >= 3 and rows.value("flow_error_x_T", "gaussian", "checkpoint", 20) == found[len(found) // 2]


def test_options_that_are_left_out_are_the_defaults(rows):
    (row, *_) = rows.find("gaussian", "adjoint-dpm[rule=rk4]", 20)
    assert params_of(row, "estimator")["trajectory"] == "resolved"


def test_a_cell_that_was_not_measured_cannot_be_shown(rows):
    with pytest.raises(KeyError, match="has no row of gaussian, ddim, 21 steps, checkpoint"):
        rows.value("flow_error_x_T", "gaussian", "checkpoint", 21)


def test_what_no_row_knows_cannot_be_shown(rows):
    with pytest.raises(KeyError, match="reserved_bytes of digits.*there is none"):
        rows.value("reserved_bytes", "digits", "checkpoint", 20)


@pytest.mark.parametrize(
    "place", [*PAGES.values(), PREDICTED, *(run / "rows.parquet" for run in RUNS)], ids=lambda place: place.name
)
def test_what_pages_are_made_of_is_here(place):
    assert place.is_file()


def test_what_was_published_is_what_its_digest_says():
    lines = (FOLDER / "SHA256SUMS").read_text().splitlines()
    told = {name: digest for digest, name in map(str.split, lines)}
    files = [*FOLDER.glob("*/rows.parquet"), *FOLDER.glob("*.json")]
    assert told == {str(f.relative_to(FOLDER)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_numbers_have_the_digits_that_a_reader_can_use():
    assert [error(v) for v in (0.0, 3.2e-6, 0.0456, 0.312, 7.04, 447.2)] == ["0", "3.2e-6", "0.046", "0.31", "7", "447"]
    assert [mib(v * 2**20) for v in (0.0625, 2.81, 1623.1)] == ["0.062", "2.8", "1,623"]
    assert (gb(3.42e9), percent(-0.4), work(float("inf")), work(12345.0)) == ("3.4", "-40%", "∞", "12,000")


def test_a_median_of_two_seeds_cannot_be_shown():
    rows = few({0: 0.11, 1: 1.8})
    with pytest.raises(ValueError, match="has 2 seeds, and a median needs 3"):
        rows.value("sampler_error_x_T", "gaussian", "checkpoint")
    assert rows.value("peak_bytes", "gaussian", "checkpoint") == 7


def test_a_headline_needs_twelve_seeds():
    rows = few({seed: 0.1 * seed for seed in range(11)})
    rows.seeds(12)
    with pytest.raises(ValueError, match="has 11 seeds, and a median needs 12"):
        rows.spread("sampler_error_x_T", "gaussian", "checkpoint")


def test_a_table_of_two_sets_of_seeds_cannot_be_shown():
    rows = few({0: 0.1, 1: 0.2, 2: 0.3}, {0: 0.1, 1: 0.2, 3: 0.3})
    rows.value("sampler_error_x_T", "gaussian", "checkpoint")
    with pytest.raises(ValueError, match=r"is of seeds \[0, 1, 3\], the table's others of \[0, 1, 2\]"):
        rows.value("sampler_error_x_T", "gaussian", "backprop")
    rows.seeds(3)
    assert rows.value("sampler_error_x_T", "gaussian", "backprop") == 0.2


def few(*errors):
    """Rows of `checkpoint` and `backprop` on a Gaussian with those errors by seed."""
    rows = object.__new__(Published)
    rows.name, rows.fewest, rows.at_least, rows.shared = "few", 3, 3, None
    block = [Block(["gaussian"], ["ddim"], [name], seeds=list(by)) for name, by in zip(NAMES, errors, strict=False)]
    rows.rows = [
        {**item.cell, "sampler_error_x_T": by[item.cell["seed"]], "peak_bytes": 7, "status": "ok"}
        for part, by in zip(block, errors, strict=True)
        for item in make_plan([part], 1)
    ]
    return rows


NAMES = ("checkpoint", "backprop")


@pytest.mark.parametrize("column", ["flow_error_x_T", "sampler_cosine_parameters", "sampler_sample_error_x_T"])
def test_what_depends_on_the_seed_is_known(column):
    assert BY_SEED.match(column) and not BY_SEED.match("peak_bytes") and not BY_SEED.match("nfe_forward")


def test_a_median_is_shown_with_its_range():
    assert (
        spread(Spread((0.2, 0.1, 1.8))) == "0.2 (0.1 to 1.8)"
        and plain(Spread((0.9, 0.8, 1.0))) == "0.90 (0.80 to 1.00)"
    )


def test_a_claim_that_the_rows_do_not_bear_out_is_no_sentence():
    assert claim(1 < 2, "so it is") == "so it is"
    with pytest.raises(ValueError, match="do not bear out: so it is"):
        claim(2 < 1, "so it is")


def test_a_mean_that_is_only_short_has_the_cosine_one():
    assert (Direction(0.001, 0.0).cosine, Direction(0.001, 0.0).ratio) == (1.0, 0.001)
    assert Direction(3.0, 4.0).cosine == pytest.approx(0.6)


def test_the_suite_measures_every_cell_of_the_headline():
    planned = {item.cell["cell_id"]: item.passes for item in make_plan(load_suite("full").blocks, 1)}
    for method in METHODS:
        for guidance, steps in method.settings:
            block = Block(
                [case_of(guidance)], ["ddim"], [method.selector], [steps], seeds=list(range(12)), dtype=method.dtype
            )
            assert all("flow" in planned[item.cell["cell_id"]] for item in make_plan([block], 1))
    for method in METHODS[:6]:
        block = Block([EMOJI], ["ddim"], [method.selector], [20], seeds=list(range(12)))
        assert {item.cell["cell_id"] for item in make_plan([block], 1)} <= planned.keys()
    assert set(SETTINGS) == {(1.0, 20), (1.0, 50), (7.5, 20), (7.5, 50)}
