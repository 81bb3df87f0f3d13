"""Engines: functions from a number of jobs to a `concurrent.futures` executor."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from gradbench import checks


class InlineExecutor(Executor):
    """Runs calls at once, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The finished future of the call."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as failure:
            future.set_exception(failure)
        return future


ENGINES: dict[str, Callable[[int], Executor]] = {
    "local": lambda jobs: ThreadPoolExecutor(max_workers=jobs),  # each thread minds one worker process
    "inline": lambda jobs: InlineExecutor(),  # in this process, for debugging: no isolation, no time limit
}


def make_executor(name: str, jobs: int) -> Executor:
    """The executor of that name; `ValueError` for an unknown name or jobs < 1."""
    return ENGINES[checks.one_of("engine", name, ENGINES)](checks.positive_integer("jobs", jobs))
