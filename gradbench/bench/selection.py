"""The selected cells: a suite with some parts replaced, or these parts alone. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gradbench.bench.suite import Block, Suite, load_suite
from gradbench.checks import UsageError
from gradbench.estimators.catalogue import ESTIMATORS
from gradbench.problems.folders import case_specs
from gradbench.selector import parse, render

DEFAULT_SUITE = "smoke"


@dataclass(frozen=True)
class Selection:
    """The selection of a command line; empty or None means the suite's own, or the default."""

    suite: str | None = None
    cases: Sequence[str] = ()
    estimators: Sequence[str] = ()
    samplers: Sequence[str] = ()
    steps: Sequence[int] = ()
    targets: Sequence[str] = ()
    dtype: str | None = None
    weights: str | None = None
    seeds: Sequence[int] = ()
    replicates: int | None = None
    device: str | None = None

    @property
    def names_cells(self) -> bool:
        """Whether it names cells; without that, a run uses the suite `DEFAULT_SUITE`."""
        return bool(self.suite is not None or self.cases or self.estimators or self.samplers)

    def over(self, block: Block) -> Block:
        """The block with the selection in place of its own parts; `all` is every estimator of the catalogue."""
        estimators = list(ESTIMATORS) if list(self.estimators) == ["all"] else list(self.estimators)
        return replace(
            block,
            cases=list(self.cases) or block.cases,
            samplers=list(self.samplers) or block.samplers,
            estimators=estimators or block.estimators,
            steps=list(self.steps) or block.steps,
            targets=list(self.targets) or block.targets,
            seeds=list(self.seeds) or block.seeds,
            dtype=self.dtype or block.dtype,
            device=self.device or block.device,
        )

    def blocks(self, own: Sequence[Block]) -> list[Block]:
        """These blocks with the selection in place of their own parts, and the weights in every case with some."""
        return with_weights([self.over(block) for block in own], self.weights)

    def cells(self) -> Suite:
        """The selected suite with parts replaced or, without one, the parts alone."""
        name = self.suite if self.names_cells else DEFAULT_SUITE
        if name is not None:
            suite = load_suite(name)
        else:
            suite = Suite("selection", "", [Block(["gaussian"], ["ddim"], list(ESTIMATORS))])
        replicates = suite.replicates if self.replicates is None else self.replicates
        return replace(suite, blocks=self.blocks(suite.blocks), replicates=replicates)


def with_weights(blocks: list[Block], weights: str | None) -> list[Block]:
    """The blocks with those weights in every case that can load some; `UsageError` if none can."""
    if weights is None:
        return blocks
    if not weights or any(mark in weights for mark in "[]=\"',"):
        raise UsageError(f"--weights must be a folder or a hub id without any of []=\"', got {weights!r}")
    loading = [name for name, spec in case_specs().items() if "weights" in spec.params]

    def loaded(text: str) -> str:
        name, given = parse(text)
        return render(name, {**given, "weights": weights}) if name in loading else text

    if not any(parse(text)[0] in loading for block in blocks for text in block.cases):
        raise UsageError(f"--weights needs a case that loads weights: {', '.join(loading)}")
    return [replace(block, cases=[loaded(text) for text in block.cases]) for block in blocks]
