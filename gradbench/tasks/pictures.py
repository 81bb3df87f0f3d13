"""The picture of a task: what it shows before and after the updates, in rows, beside the curve of the same name."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor


def write_picture(path: Path, rows: Mapping[str, Tensor]) -> None:
    """Draws rows of pictures (n, c, h, w), values in [0, 1], c 1 or 3, each under its name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = max(len(row) for row in rows.values())
    figure = Figure(figsize=(0.9 * across + 0.8, 0.95 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(rows), across, squeeze=False)
    for line, (name, pictures) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        for axes, picture in zip(line, pictures, strict=False):
            shown = picture.detach().float().clamp(0, 1).permute(1, 2, 0).expand(-1, -1, 3).cpu().numpy()
            axes.imshow(shown, interpolation="nearest")
        line[0].set_ylabel(name, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Software": None})
