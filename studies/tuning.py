"""python -m studies.tuning [ROWS]: the learning rate of every task and estimator that a sweep's rows choose.

The rate with the best objective after the sweep's updates, before any held-out score is seen; a rate under which an
update was not finite is out.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradbench.analysis.courses import Course, blocks, courses
from gradbench.analysis.rows import params_of
from gradbench.bench.load import load_rows
from gradbench.bench.row import Row
from studies.pages.claims import rises

PUBLISHED = Path(__file__).parents[1] / "results" / "published" / "2026-11-28-tasks-sweep-cpu"
Place = tuple[str, str, str, str]  # task, its options, sampler, estimator with its options


def chosen(rows: Sequence[Row]) -> dict[Place, float]:
    """The rates by what they are for."""
    best: dict[Place, tuple[float, float]] = {}
    for block in blocks(courses(rows)).values():
        for course in block:
            end, row = course.mean("last_objective"), course.cell.rows[0]
            if course.cell.failed or end is None:
                continue
            value = end.value if rises(task_of(row)) else -end.value
            best[place_of(row)] = max(best.get(place_of(row), (-float("inf"), 0.0)), (value, _rate(course)))
    return {place: rate for place, (_, rate) in best.items()}


def place_of(row: Any) -> Place:
    """What a rate is chosen for; the numbers of updates and checkpoints do not matter."""
    return row["case"], task_of(row), str(row["sampler_params"]), f"{row['estimator']}{row['estimator_params']}"


def task_of(row: Any) -> str:
    """The selector of a row's task by what is optimised, through what."""
    params = params_of(row, "case")
    told = {name: params[name] for name in ("model", "objective", "direction", "moves", "batch") if name in params}
    return f"{row['case']}[{','.join(f'{name}={value}' for name, value in told.items())}]"


def _rate(course: Course) -> float:
    return float(params_of(course.cell.rows[0], "case")["lr"])


def main() -> None:
    """Prints a line for each."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else PUBLISHED
    for (_, task, _, estimator), rate in chosen(load_rows(source)).items():
        print(f"{task:<80} {estimator[:70]:<72} {rate:g}")


if __name__ == "__main__":
    main()
