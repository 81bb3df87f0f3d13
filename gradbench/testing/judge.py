"""Run a check on a subject: every outcome is a verdict, whatever the estimator does."""

from gradbench.testing.catalogue import CHECKS
from gradbench.testing.subject import Subject
from gradbench.testing.verdict import Failed, Skipped, Verdict


def judge(subject: Subject, check: str) -> Verdict:
    """The verdict of one check; an exception raised by the estimator is a failure."""
    entry = CHECKS.find(check)
    try:
        status, said = "ok", entry.load()(subject)
    except Skipped as reason:
        status, said = "skipped", str(reason)
    except Failed as failure:
        status, said = "failed", str(failure)
    except Exception as error:
        status, said = "failed", f"it raised {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return Verdict(subject.name, entry.name, entry.summary, status, said)
