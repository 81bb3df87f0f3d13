"""Where and by which code a row was made. No host names: `machine_id` is a salted hash of the machine's identity."""

import hashlib
import os
import platform
import re
import subprocess
import sys
import uuid
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import gradbench
from gradbench.data import Columns
from gradbench.objectives.sums import OWN
from gradbench.plugins import spec_of


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


def _git(*arguments: str) -> str | None:
    folder = Path(gradbench.__file__).parents[1]
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def version(distribution: str) -> str | None:
    """The installed version of a distribution, or None, without importing it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@cache
def fingerprint(cases: tuple[Path, ...]) -> str:
    """sha256 over the source of the package and the case folders, 16 hexadecimal digits: the code behind a row."""
    digest = hashlib.sha256()
    for folder in (Path(gradbench.__file__).parent, *cases):
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def fingerprint_of(cell: Mapping[str, Any], cases: tuple[Path, ...]) -> str:
    """The fingerprint of a cell or row, with the source of modules named by `module:attribute`."""
    places = {str(cell.get(kind)) for kind in ("estimator", "sampler") if ":" in str(cell.get(kind))}
    params = cell.get("case_params")
    places |= set(re.findall(OWN, str(params.get("objective", "")))) if isinstance(params, Mapping) else set()
    if not places:
        return fingerprint(cases)
    digest = hashlib.sha256(fingerprint(cases).encode())
    for module in sorted({place.partition(":")[0] for place in places}):
        digest.update(module.encode() + _source(module))
    return digest.hexdigest()[:16]


@cache
def _source(module: str) -> bytes:
    """The file of a module; empty if it has none, or it is gone."""
    spec = spec_of(module)
    try:
        return Path(spec.origin).read_bytes() if spec and spec.origin else b""
    except OSError:
        return b""


@cache
def provenance(cases: tuple[Path, ...]) -> Columns:
    """The provenance columns that are the same for every row of a process; needs no torch."""
    cpu, memory = _cpu(), _memory_bytes()
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--", "gradbench", "cases")
    return {
        "gradbench": gradbench.__version__,
        "torch": version("torch"),
        "git_commit": commit,
        "git_dirty": None if commit is None else bool(status),
        "fingerprint": fingerprint(cases),
        "machine_id": hashlib.sha256(f"gradbench-{uuid.getnode()}".encode()).hexdigest()[:12],
        "machine_class": f"{cpu}, {os.cpu_count()} threads, {round(memory / 2**30)} GiB",
        "cpu": cpu,
        "gpu": None,
    }


def environment(cases: tuple[Path, ...]) -> Columns:
    """The output of `gradbench env`: the provenance, and the versions of packages that affect numbers."""
    names = ("numpy", "scipy", "diffusers", "transformers", "peft", "torchdiffeq", "torchsde", "safetensors")
    return {
        **provenance(cases),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "versions": {name: version(name) for name in names},
    }
