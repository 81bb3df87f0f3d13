"""The cards of this machine by `nvidia-smi`, without touching CUDA, so that processes may be forked."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Query = Callable[[Sequence[str]], str]
MIB = 2**20
BY_DRIVER = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}  # torch asks the driver's library for cards, which makes no context
UVM = "/dev/nvidia-uvm"
DESCRIPTORS = "/proc/self/fd"
FIELDS = ("index", "uuid", "name", "driver_version", "clocks.sm", "memory.used", "memory.total")


@dataclass(frozen=True)
class Card:
    """One card as it is now. clock in MHz, memory in bytes, None if the driver does not report it."""

    index: str
    uuid: str
    name: str
    driver: str
    clock: float | None
    used: int | None
    total: int | None


def ask(arguments: Sequence[str]) -> str:
    """The output of `nvidia-smi` with these arguments; empty if it is missing or fails."""
    try:
        done = subprocess.run(["nvidia-smi", *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def cards(query: Query = ask) -> list[Card]:
    """The cards in the order of their numbers."""
    found = []
    for line in query([f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]).splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == len(FIELDS):
            index, uuid, name, driver, clock, used, total = parts
            found.append(Card(index, uuid, name, driver, _number(clock), _bytes(used), _bytes(total)))
    return found


def processes(query: Query = ask) -> dict[str, int]:
    """The number of processes computing on each card, by uuid; a container may not see outside ones."""
    lines = query(["--query-compute-apps=gpu_uuid,pid", "--format=csv,noheader"]).splitlines()
    own = [line.split(",")[0].strip() for line in lines if "," in line]
    return {uuid: own.count(uuid) for uuid in own}


def visible(query: Query = ask) -> list[str]:
    """The cards by their names in CUDA_VISIBLE_DEVICES, or all cards if it is not set."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip()]
    return [card.index for card in cards(query)]


def idle(name: str, query: Query = ask) -> dict[str, str | float | int | None]:
    """The columns of a row with the state of a card before its cell began; none if the driver does not answer.

    name: as in CUDA_VISIBLE_DEVICES, a number or the beginning of a uuid.
    """
    card = next((card for card in cards(query) if card.index == name or card.uuid.startswith(name)), None)
    if card is None:
        return {}
    others = processes(query).get(card.uuid, 0)
    told = {"gpu": card.name, "gpu_driver": card.driver, "gpu_clock_mhz": card.clock}
    return {**told, "gpu_total_bytes": card.total, "gpu_used_bytes": card.used, "gpu_processes": others}


def context_in_this_process() -> bool:
    """Whether this process has opened the device that every CUDA context needs, and so cannot be forked.

    True also if the system does not list open files.
    """
    if not os.path.isdir(DESCRIPTORS):
        return True
    for name in os.listdir(DESCRIPTORS):
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            if os.readlink(f"{DESCRIPTORS}/{name}").startswith(UVM):
                return True
    return False


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _bytes(text: str) -> int | None:
    found = _number(text)
    return None if found is None else int(found * MIB)
