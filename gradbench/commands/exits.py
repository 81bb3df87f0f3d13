"""The exit codes of the command line."""

from enum import IntEnum


class Exit(IntEnum):
    """What the shell is told."""

    OK = 0
    FAILED = 1  # a regression, a reference that disagrees, a check that fails
    USAGE = 2  # what was typed, or a file that was named, is wrong
    CELLS_FAILED = 3  # some cells ended in error, crash or lost, or as their suite does not expect
    NOTHING = 4  # nothing was selected, or nothing can be compared, drawn or advised
    BUDGET_SPENT = 5  # cells are left that are predicted to end outside the budget
    BUG = 70  # an error that gradbench should not have made
    CANNOT_RUN = 125  # a revision gives no rows: for git bisect a commit to skip
    INTERRUPTED = 130
