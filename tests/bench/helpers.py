"""Where things are."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN_ROWS = ROOT / "tests" / "golden_rows"
