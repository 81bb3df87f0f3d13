"""The exit codes of the command line, and of the comparison that it reports."""

from enum import IntEnum


class Exit(IntEnum):
    """The exit codes."""

    OK = 0
    FAILED = 1  # a regression, a reference that disagrees, a check that fails
    USAGE = 2  # the command line, or a file that it names, is wrong
    CELLS_FAILED = 3  # some cells ended in error, crash or lost, or otherwise than their suite expects
    NOTHING = 4  # nothing was selected, or nothing can be compared, drawn or advised
    BUDGET_SPENT = 5  # none failed, but some were left, predicted to end outside the budget
    BUG = 70  # an error that gradbench should not raise
    SYSTEM = 74  # the disk is full or broken, or a file cannot be read
    CANNOT_RUN = 125  # a revision gives no rows: git bisect skips it
    INTERRUPTED = 130
