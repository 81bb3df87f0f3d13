"""The command that measures a pooled cell again: all its seeds and replicates."""

from gradbench import command as one
from gradbench.analysis.cells import Cell
from gradbench.analysis.numbers import number


def command(cell: Cell) -> str:
    """`gradbench run ...` for every row of the cell."""
    seeds = sorted({int(seed) for row in cell.rows if (seed := number(row.get("seed"))) is not None})
    return one.command(cell.rows[0], seeds, len({row.get("replicate") for row in cell.rows}))
