"""The columns of a row: one table, the source of the schema, the types of files and the baseline.

To add a column: one line here, and `SCHEMA` raised by one if `results/published` has rows of the present one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import product

from gradbench.problems.spec import MEMORYLESS, REFERENCES, TARGETS

SCHEMA = 8
FINE = ("ok", "skip")  # statuses that never fail a run
STATUSES = (*FINE, "timeout", "oom", "diverged", "error", "crash", "lost")


class Type(Enum):
    """The type of a column in JSON and in a parquet file."""

    WHOLE = ("integer", "Int64")
    REAL = ("number", "float64")
    COUNT = ("number", "Int64 or float64")  # whole except for means over random plans
    BOOLEAN = ("boolean", "boolean")
    TEXT = ("string", "string")
    STATUS = ("one of the statuses", "string")
    OPTIONS = ("object", "JSON text")
    TARGETS = ("array of targets", "list of string")
    REALS = ("array of numbers", "list of double")

    @property
    def json(self) -> str:
        """The type in JSON, in words."""
        return self.value[0]

    @property
    def parquet(self) -> str:
        """The type in a parquet file, by its pandas name for scalars."""
        return self.value[1]


@dataclass(frozen=True)
class Column:
    """One column. unit: of its numbers, "" for none and for ratios. since: the schema that added it.

    identity: whether it is part of a cell's identity. baseline: whether every machine must reproduce it.
    """

    name: str
    type: Type
    meaning: str
    unit: str = ""
    since: int = 1
    identity: bool = False
    baseline: bool = False


def _identity() -> Iterator[Column]:
    for kind in ("case", "sampler"):
        yield Column(kind, Type.TEXT, f"name of the {kind}", identity=True)
        yield Column(f"{kind}_params", Type.OPTIONS, f"all parameters of the {kind}", identity=True)
    yield Column("steps", Type.WHOLE, "steps of the sampler, N", identity=True)
    yield Column("estimator", Type.TEXT, "name of the estimator", identity=True)
    yield Column("estimator_params", Type.OPTIONS, "all options of the estimator", identity=True)
    yield Column("targets", Type.TARGETS, "whose gradients were requested", identity=True)
    yield Column("seed", Type.WHOLE, "of x_T, of the noise and of what the case draws", identity=True)
    yield Column("dtype", Type.TEXT, "precision of the network", identity=True)
    yield Column("device", Type.TEXT, "cpu or cuda", identity=True)


def _of_targets(measure: str, meaning: str, since: int = 1, baseline: bool = False) -> Iterator[Column]:
    for target in TARGETS:
        own = meaning.replace("_T", f"_{target}")
        yield Column(f"{measure}_{target}", Type.REAL, own, since=since, baseline=baseline)


def _errors() -> Iterator[Column]:
    meanings = {
        "error": "relative error |g - r| / |r| of the gradient g against the {} gradient r",
        "cosine": "cosine of the angle between the gradient and the {} gradient",
        "norm_ratio": "length of the gradient over that of the {} gradient",
    }
    for kind, (measure, meaning) in product((*REFERENCES, MEMORYLESS), meanings.items()):
        since = 6 if kind == MEMORYLESS else 1
        yield from _of_targets(f"{kind}_{measure}", meaning.format(kind), since, baseline=measure != "cosine")
    for kind in REFERENCES:
        said = f"median over the samples of the relative error of x_T's gradient against the {kind} gradient"
        yield Column(f"{kind}_sample_error_x_T", Type.REAL, said, since=4)


TABLE: tuple[Column, ...] = (
    Column("schema", Type.WHOLE, "number of this schema"),
    Column("cell_id", Type.TEXT, "16 hexadecimal digits of the sha256 of the cell's identity"),
    Column("run_id", Type.TEXT, "of the call of `run`"),
    Column("suite", Type.TEXT, "suite, or `selection`"),
    *_identity(),
    Column("replicate", Type.WHOLE, "number of the repetition, from 0"),
    Column("attempt", Type.WHOLE, "number of the attempt, from 1; the highest counts", since=2),
    Column("status", Type.STATUS, "how the cell ended"),
    Column("phase", Type.TEXT, "where the cell ended, if it failed or was skipped"),
    Column("reason", Type.TEXT, "why, if the cell failed or was skipped"),
    Column("time_s", Type.REAL, "wall-clock of one estimate, the median of its repeats", "s"),
    Column("time_samples", Type.REALS, "wall-clock of each repeat", "s"),
    Column("cpu_time_s", Type.REAL, "CPU time of one estimate, over all threads", "s"),
    Column("calibration_s", Type.REAL, "wall-clock of a fixed matrix product in the same process", "s"),
    Column("nfe_forward", Type.COUNT, "network evaluations of the forward pass", baseline=True),
    Column("nfe_backward", Type.COUNT, "those of the backward pass, recomputation included", baseline=True),
    Column("vjps", Type.COUNT, "evaluations that a cotangent was pulled back through", baseline=True),
    Column("peak_bytes", Type.WHOLE, "peak of an estimate over the baseline", "B", baseline=True),
    Column("baseline_bytes", Type.WHOLE, "weights and inputs", "B"),
    Column("reserved_bytes", Type.WHOLE, "peak that the GPU's allocator reserved", "B"),
    Column("device_bytes", Type.WHOLE, "in use on the whole GPU after an estimate", "B", since=3),
    Column("os_peak_bytes", Type.WHOLE, "peak of the process's resident memory", "B"),
    Column("predicted_peak_bytes", Type.WHOLE, "the peak that was predicted from shapes", "B"),
    Column(
        "requested_bytes", Type.WHOLE, "the peak as requested from the GPU's allocator, before rounding", "B", since=5
    ),
    Column("state_bytes", Type.WHOLE, "one state of the chain", "B"),
    Column("tape_bytes", Type.WHOLE, "the tape of one step", "B"),
    Column("x0_drift", Type.REAL, "relative distance of the estimate's own x_0 from the sampler's"),
    Column("wall_s", Type.REAL, "wall-clock of the whole cell, process included", "s", since=5),
    Column("passes_s", Type.REAL, "wall-clock of the measured passes", "s", since=5),
    Column("evaluation_s", Type.REAL, "one network evaluation without a tape", "s", since=5),
    Column("vjp_s", Type.REAL, "one pullback through an evaluation's tape", "s", since=5),
    *_of_targets("grad_norm", "Euclidean norm of the gradient", baseline=True),
    *_errors(),
    *_of_targets("method_error", "part of sampler_error_T that is the method's", since=3),
    *_of_targets("rounding_error", "part of sampler_error_T that is rounding", since=3),
    *_of_targets("bias", "<m - r, r> / |r|^2 of the mean m of the draws, r the expected gradient", baseline=True),
    *_of_targets("bias_norm", "|m - r| / |r|", baseline=True),
    *_of_targets("std_error", "standard error of bias_T", baseline=True),
    *_of_targets("snr", "|m| over the standard deviation of one draw", baseline=True),
    Column("updates", Type.WHOLE, "updates of a task", since=7),
    Column("optimise_s", Type.REAL, "wall-clock of a task's estimates and updates", "s", since=7),
    Column("optimise_evaluations", Type.REAL, "network evaluations of a task's estimates, of one sample each", since=7),
    Column("optimise_queries", Type.REAL, "samples that the objective of a task was shown for its updates", since=7),
    Column("optimise_cosine", Type.REAL, "mean cosine of a task's estimates with their draws' exact gradient", since=7),
    Column("first_objective", Type.REAL, "a task's objective before its first update", since=7),
    Column("last_objective", Type.REAL, "a task's objective after its last update", since=7),
    Column("first_held_out", Type.REAL, "a task's held-out score before its first update", since=7),
    Column("last_held_out", Type.REAL, "a task's held-out score after its last update", since=7),
    Column(
        "course", Type.OPTIONS, "arrays, one value per place where a task was scored: costs, scores and cosine", since=8
    ),
    Column("draws", Type.WHOLE, "number of draws of a Monte Carlo estimator", baseline=True),
    Column("reference_method", Type.TEXT, "how the references were made"),
    Column("reference_tol", Type.REAL, "largest relative tolerance of the references"),
    Column("reference_digest", Type.TEXT, "16 hexadecimal digits of the sha256 of the references"),
    Column("reference_dtype", Type.TEXT, "precision of the references"),
    *(Column(f"{k}_tol", Type.REAL, f"tolerance of the {k} gradient", since=2, baseline=True) for k in REFERENCES),
    Column(f"{MEMORYLESS}_tol", Type.REAL, "tolerance of the memoryless gradient", since=6, baseline=True),
    Column("gradbench", Type.TEXT, "version"),
    Column("torch", Type.TEXT, "version"),
    Column("git_commit", Type.TEXT, "of gradbench, where it is a checkout"),
    Column("git_dirty", Type.BOOLEAN, "whether its files differed from that commit"),
    Column("fingerprint", Type.TEXT, "16 hexadecimal digits of the sha256 of the source that made the row"),
    Column("machine_id", Type.TEXT, "salted hash of the machine's identity"),
    Column("machine_class", Type.TEXT, "CPU, threads and memory"),
    Column("cpu", Type.TEXT, "model"),
    Column("gpu", Type.TEXT, "model"),
    Column("gpu_driver", Type.TEXT, "version of its driver", since=5),
    Column("gpu_clock_mhz", Type.REAL, "clock of its multiprocessors before the cell", "MHz", since=5),
    Column("gpu_total_bytes", Type.WHOLE, "memory of the GPU", "B", since=5),
    Column("gpu_used_bytes", Type.WHOLE, "in use on it before the cell", "B", since=5),
    Column("gpu_processes", Type.WHOLE, "other processes on it before the cell", since=5),
    Column("weights", Type.TEXT, "where the network's weights come from, if the case can load weights", since=3),
    Column("tf32", Type.BOOLEAN, "whether float32 products could be rounded to TF32", since=3),
    Column("attention", Type.TEXT, "attention processors and kernels", since=3),
    Column("threads", Type.WHOLE, "of the process"),
    Column("load", Type.REAL, "load average of the machine when the cell began"),
    Column("started_at", Type.TEXT, "time in UTC, ISO 8601"),
)
BY_NAME = {column.name: column for column in TABLE}
COLUMNS = tuple(BY_NAME)
IDENTITY = tuple(column.name for column in TABLE if column.identity)
