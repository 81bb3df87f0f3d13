"""The files of a task, in the folder of curves; no torch."""

from pathlib import Path


def picture_of(curve: Path) -> Path:
    """The picture beside a curve, `<cell_id>-<replicate>.jsonl`."""
    return curve.with_suffix(".png")
