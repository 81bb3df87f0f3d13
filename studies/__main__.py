"""python -m studies [PAGE ...] [--laws 20] [--out docs/findings]: writes the findings pages again, number by number."""

import argparse
import importlib
import time
from pathlib import Path

import torch

PAGES = (
    *("samples", "adjoint_solvers", "end_to_end", "sde", "reversible", "adjoint_dpm", "truncation_and_scores"),
    *("surrogates", "ddim", "mixing"),
)


def main() -> None:
    """Writes the given pages."""
    parser = argparse.ArgumentParser(prog="python -m studies", description=__doc__)
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"of {', '.join(PAGES)}; all by default")
    parser.add_argument("--laws", type=int, default=20, help="random laws a figure is the median of")
    parser.add_argument("--out", type=Path, default=Path("docs/findings"))
    options = parser.parse_args()
    unknown = [page for page in options.pages if page not in PAGES]
    if unknown or options.laws < 1:
        parser.error(f"pages must be of {', '.join(PAGES)} and laws >= 1, got {unknown or options.laws}")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for page in options.pages or PAGES:
        start = time.perf_counter()
        text = importlib.import_module(f"studies.{page}").page(range(options.laws), options.out)
        command = f"python -m studies {page} --laws {options.laws}"
        place = options.out / f"{page.replace('_', '-')}.md"
        place.write_text(f"{text}\n*Made by `{command}`, float64 on a CPU unless the page says otherwise.*\n")
        print(f"{place}: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
