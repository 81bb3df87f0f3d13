"""For pytest: each conformance check of an estimator as one test. Torch and pytest are imported only when needed.

    from gradbench.testing import conformance

    test_conformance = conformance("my_package:MyEstimator")

The plugin, which pytest finds by its entry point, registers the marker `conformance` (`-m "not conformance"` skips
these tests) and lists what was measured with -v.
"""

from collections.abc import Callable, Sequence
from typing import Any

MARKER = "conformance: a conformance check of gradbench"


def conformance(*estimators: Any, checks: Sequence[str] | None = None) -> Callable[..., None]:
    """A parametrised test that runs every check, or those named, on each estimator.

    estimators: selectors, "module:Class", classes or instances; strings are imported when a test runs, not when it is
    collected. Raises `ValueError` for an unknown check.
    """
    import pytest

    from gradbench.checks import one_of
    from gradbench.testing.catalogue import CHECKS

    names = [one_of("check", name, CHECKS) for name in checks or CHECKS]
    ids = [e if isinstance(e, str) else getattr(e, "__name__", type(e).__name__) for e in estimators]

    @pytest.mark.conformance
    @pytest.mark.parametrize("check", names)
    @pytest.mark.parametrize("estimator", estimators, ids=ids)
    def test(estimator: Any, check: str, record_property: Callable[[str, object], None]) -> None:
        from gradbench.testing.judge import judge
        from gradbench.testing.subject import subject_of

        verdict = judge(subject_of(estimator), check)
        record_property("measured", verdict.said)
        if verdict.status == "skipped":
            pytest.skip(verdict.said)
        if verdict.status == "failed":
            pytest.fail(f"{verdict.estimator}: {verdict.property}\n{verdict.said}", pytrace=False)

    return test


def pytest_configure(config: Any) -> None:
    """Register the marker, as --strict-markers requires."""
    config.addinivalue_line("markers", MARKER)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """With -v, list what each conformance check measured."""
    if terminalreporter.verbosity < 1:
        return
    reports = [report for key in ("passed", "skipped") for report in terminalreporter.stats.get(key, [])]
    lines = [(r.nodeid, dict(r.user_properties).get("measured")) for r in reports]
    if any(said for _, said in lines):
        terminalreporter.section("gradbench: measured")
        for nodeid, said in lines:
            if said:
                terminalreporter.write_line(f"{nodeid}: {said}")
