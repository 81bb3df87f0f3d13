"""The plan: every cell of a run, with the reason if it will be skipped. No torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import util

from gradbench import checks
from gradbench.bench.cell import Cell
from gradbench.bench.row import Key
from gradbench.bench.suite import PASSES, USUAL, Block
from gradbench.checks import UsageError
from gradbench.diffusion.grid import TimeRange, range_of
from gradbench.diffusion.schedule import make_schedule
from gradbench.estimators.catalogue import ESTIMATORS, EstimatorEntry
from gradbench.problems.case import Case, make_case, refuse_arrays
from gradbench.problems.folders import case_specs
from gradbench.problems.spec import TARGETS
from gradbench.problems.traits import ProblemTraits
from gradbench.samplers.catalogue import SAMPLERS
from gradbench.samplers.spec import sampler_spec
from gradbench.selector import Options, expand, render

MOST_CELLS = 1_000_000


@dataclass(frozen=True)
class Planned:
    """A cell, one of its replicates, the reason for a skip (or None), and its passes.

    seconds: how long it takes according to its suite, if known.
    """

    cell: Cell
    replicate: int
    skip: str | None = None
    passes: tuple[str, ...] = USUAL
    seconds: float | None = None

    @property
    def key(self) -> Key:
        """(cell_id, replicate): the key of a row."""
        return self.cell.id, self.replicate


def make_plan(blocks: Sequence[Block], replicates: int) -> list[Planned]:
    """Every cell of the blocks once, in their order; `ValueError` for unknown names and values.

    Replicates are rounds: all cells, then all again, so that a slow minute of the machine affects one replicate of many
    cells and not all of a few.
    """
    checks.positive_integer("replicates", replicates)
    planned: dict[Key, Planned] = {}
    for block in blocks:
        for name in block.passes:
            checks.one_of("pass", name, PASSES)
        for cell, skip in _cells(block):
            for replicate in range(replicates):
                item = Planned(cell, replicate, skip, tuple(block.passes), block.seconds)
                known = planned.setdefault(item.key, item)
                more = tuple(name for name in item.passes if name not in known.passes)
                planned[item.key] = replace(known, passes=known.passes + more) if more else known
        if len(planned) > MOST_CELLS:
            raise UsageError(f"a plan may have at most {MOST_CELLS:,} cells: select fewer")
    return sorted(planned.values(), key=lambda item: item.replicate)


def _cells(block: Block) -> Iterator[tuple[Cell, str | None]]:
    samplers = [choice for text in block.samplers for choice in expand(text)]
    estimators = [
        (entry, entry.stored(given))
        for text in block.estimators
        for name, given in expand(text)
        for entry in [ESTIMATORS.find(name)]
    ]
    steps = [checks.positive_integer("steps", value) for value in block.steps]
    seeds = [checks.seed(value) for value in block.seeds]
    checks.device_name(block.device)
    if block.dtype is not None:
        checks.one_of("dtype", block.dtype, checks.DTYPES)
    for target in block.targets:
        checks.one_of("target", target, TARGETS)
    for text in block.cases:
        for case_name, case_given in expand(text):
            refuse_arrays(case_name, case_given)
            case = make_case(case_name, case_given)
            span = _time_range(case)
            targets = [name for name in TARGETS if name in block.targets and name in case.spec.targets]
            dtype = block.dtype or case.spec.dtype
            for name, given in samplers:
                spec = sampler_spec(render(name, given), case.spec.grid)
                for n in steps:
                    traits = ProblemTraits(**spec.traits, **span, steps=n, targets=targets, dtype=dtype)
                    unable = spec.refuses(traits)
                    for entry, options in estimators:
                        skip = _skip(case, entry, options, traits, block.device) or unable
                        for seed in seeds:
                            cell = Cell(
                                case=case.name,
                                case_params=case.params,
                                sampler=spec.name,
                                sampler_params=dict(spec.params),
                                steps=n,
                                estimator=entry.name,
                                estimator_params=options,
                                targets=tuple(targets),
                                seed=seed,
                                dtype=dtype,
                                device=block.device,
                            )
                            yield cell, skip


def _skip(case: Case, entry: EstimatorEntry, options: Options, traits: ProblemTraits, device: str) -> str | None:
    missing = [name for name in (*case.spec.requires, *entry.requires) if util.find_spec(name) is None]
    if missing:
        return f"not installed: pip install {' '.join(missing)}"
    if not traits.targets:
        return f"the case has no such target; it has {', '.join(case.spec.targets)}"
    if traits.dtype not in case.spec.dtypes:
        return f"the case has no dtype {traits.dtype}; it has {', '.join(case.spec.dtypes)}"
    if traits.dtype == checks.TF32 and device == "cpu":
        return "a CPU has no TF32: use float32"
    return entry.refuses(entry.options(options), traits)


def _time_range(case: Case) -> TimeRange:
    """The time range, by which a chart may refuse; for schedules named by a case."""
    if "schedule" not in case.params:
        return TimeRange()
    return range_of(make_schedule(case.params["schedule"]), (case.params["t_max"], case.params["t_min"]))


def preload(planned: Sequence[Planned]) -> list[str]:
    """The modules of the plan's cases, samplers and estimators, imported by a warm worker before it forks."""
    known = case_specs()
    cells = [item.cell for item in planned if item.skip is None]
    estimators = [ESTIMATORS.find(name) for name in {cell.estimator for cell in cells}]
    samplers = [SAMPLERS.find(name) for name in {cell.sampler for cell in cells}]
    modules = {module for name in {cell.case for cell in cells} for module in known[name].preload}
    modules |= {
        module for entry in (*estimators, *samplers) for module in (entry.factory.partition(":")[0], *entry.requires)
    }
    return sorted(modules)
