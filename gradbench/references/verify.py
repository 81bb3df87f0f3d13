"""`gradbench reference`: every kind of reference, computed in two ways, and the stored ones checked against both.

A case's folder may hold reference.safetensors, the gradients of its default problem by chain and kind, and
reference.json, with the methods, how well both agreed, and the sha256 of the file. A file whose digest is not the
recorded one is never loaded.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gradbench.checks import UsageError
from gradbench.models.weights import digest
from gradbench.problems.case import Case
from gradbench.problems.problem import Problem
from gradbench.problems.spec import CaseSpec, Flow
from gradbench.references import second
from gradbench.references.known import references
from gradbench.references.reference import Reference

FILE, RECORD = "reference.safetensors", "reference.json"
CHAINS = ("ddim", "heun[chart=data]", "ddpm", "euler-maruyama")
STEPS = 16
STORED = 1e-9  # largest distance of a stored reference from today's; another machine's rounding is far below


@dataclass(frozen=True)
class Check:
    """One reference computed twice: `agreement` is the relative difference, `allowed` the limit of the two methods."""

    case: str
    chain: str
    kind: str
    first: Reference
    other: str
    agreement: float
    allowed: float

    @property
    def passed(self) -> bool:
        """Whether the two ways agree."""
        return self.agreement <= self.allowed


def checks_of(case: Case) -> Iterator[Check]:
    """Every reference of the case's default problem, for every chain, computed twice."""
    for chain in CHAINS:
        problem = case.problem(sampler=chain, steps=STEPS, dtype="float64")
        for kind, found in references(problem, case.spec.flow_method).items():
            if kind == "expected" and not problem.sampler.traits.stochastic:
                continue  # the sampler's own
            if kind == "flow" and chain not in ("ddim", "ddpm"):
                continue  # the flow does not depend on the chain
            other, agreement, allowed = _again(case, problem, kind, found)
            yield Check(case.name, chain, kind, found, other, agreement, allowed)


def _again(case: Case, problem: Problem, kind: str, found: Reference) -> tuple[str, float, float]:
    """The second method in words, its agreement with the first, and the limit."""
    if kind == "flow" and problem.sampler.traits.stochastic:
        return "chain of 4,096 steps", found.grads.disagreement(second.by_fine_chain(problem)), 10 * found.tol
    if kind == "flow" and case.spec.flow is Flow.FINE_SOLVE:
        return "forward sensitivities", found.grads.disagreement(second.by_sensitivities(problem)), 1e-10
    if kind == "flow":
        return "eighth-order solve", found.grads.disagreement(second.by_fine_solve(problem)), 1e-10
    exact = problem.to(torch.float64)
    if kind == "expected":
        value = lambda: second.expected_value(exact)  # noqa: E731
    else:
        value = lambda: exact.objective(exact.rollout.sample(exact.x_T)).sum().item()  # noqa: E731
    return "central differences", second.against_differences(exact, found.grads, value), 1e-7


def write(spec: CaseSpec, found: list[Check]) -> None:
    """Stores the references of a case with their methods and how well both agreed."""
    from safetensors.torch import save_file

    tensors = {f"{c.chain}/{c.kind}/{name}": t.contiguous() for c in found for name, t in c.first.grads.named()}
    path = spec.folder / FILE
    save_file(tensors, path)
    kinds = {
        f"{c.chain}/{c.kind}": {
            "method": c.first.method,
            "second": c.other,
            "tolerance": c.first.tol,
            "agreement": float(f"{c.agreement:.2e}"),
            "digest": c.first.digest,
        }
        for c in found
    }
    record = {"problem": {"case": spec.name, "steps": STEPS, "seed": 0}, "sha256": digest(path), "references": kinds}
    (spec.folder / RECORD).write_text(json.dumps(record, indent=2) + "\n")


def load(spec: CaseSpec) -> dict[str, torch.Tensor] | None:
    """The stored references of a case, or None; `ValueError` if the file is not the recorded one."""
    from safetensors.torch import load as parse

    path, record = spec.folder / FILE, spec.folder / RECORD
    if not record.exists():
        return None
    expected = json.loads(record.read_text())["sha256"]
    if not path.exists() or digest(path) != expected:
        found = f"has sha256 {digest(path)[:16]}..." if path.exists() else "is missing"
        raise UsageError(f"reference {path} {found}, recorded is {expected[:16]}...: restore it")
    return parse(path.read_bytes())


def stored_disagreement(spec: CaseSpec, found: list[Check]) -> float | None:
    """The largest relative difference between a case's stored references and today's; None if none are stored."""
    stored = load(spec)
    if stored is None:
        return None
    today = {f"{c.chain}/{c.kind}/{name}": t for c in found for name, t in c.first.grads.named()}
    if set(today) != set(stored):
        return float("inf")
    return max(((stored[name] - t).norm() / t.norm()).item() for name, t in today.items())
