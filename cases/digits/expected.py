"""Makes expected.safetensors: the expected gradient of the default problem with ddim[eta=1], from many draws.

    python -m cases.digits.expected --work FOLDER --blocks 750

Blocks of 8 draws are kept in FOLDER as they are made, 0.4 s per draw on one core, and a second call resumes there.
Without --blocks nothing is drawn: the contents of FOLDER are written.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from gradbench.bench.building import build_problem
from gradbench.bench.cell import Cell
from gradbench.bench.plan import make_plan
from gradbench.bench.suite import Block
from gradbench.estimators.monte_carlo.base import make_block
from gradbench.models.weights import digest
from gradbench.problems.gradients import Gradient, flatten
from gradbench.problems.problem import Problem
from gradbench.references.stored import FILE, RECORD, entry_of, identity

HERE, SIZE, KEPT = Path(__file__).parent, 8, 25


def cell_of(seed: int = 0) -> Cell:
    """The cell of the suites with the entry's problem."""
    block = Block(["digits"], ["ddim[eta=1]"], ["draft[k=1]"], [20], seeds=[seed])
    return make_plan([block], 1)[0].cell


def draw(problem: Problem, index: int) -> dict[str, Gradient]:
    """The mean pathwise gradients over one block of draws, by plain backpropagation."""
    block = make_block(replace(problem, seed=problem.seed + 0x5EED, noise="keyed"), index, SIZE)
    x_T = block.x_T.detach().requires_grad_()
    value = block.problem.objective(block.rollout.sample(x_T)).sum()
    own, condition, *parameters = torch.autograd.grad(value, [x_T, *problem.wrt])
    x_T = own.unflatten(0, (SIZE, -1)).mean(0)
    return {"x_T": x_T, "condition": condition / SIZE, "parameters": tuple(g / SIZE for g in parameters)}


def main() -> None:
    """Makes the missing draws, and writes the entry with its digest."""
    from safetensors.torch import save_file

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--blocks", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cell = cell_of()
    problem = build_problem(cell)
    given.work.mkdir(parents=True, exist_ok=True)
    done = {index for path in given.work.glob("blocks-*.pt") for index in torch.load(path)["index"]}
    waiting = [index for index in range(given.blocks) if index not in done]
    for first in range(0, len(waiting), KEPT):
        indices = waiting[first : first + KEPT]
        made = {"index": indices, "blocks": [draw(problem, index) for index in indices]}
        torch.save(made, given.work / f"blocks-{indices[0]}.pt")
    found = {}
    for path in given.work.glob("blocks-*.pt"):
        made = torch.load(path)
        found |= dict(zip(made["index"], made["blocks"], strict=True))
    flat = [{target: flatten(g) for target, g in found[index].items()} for index in sorted(found)]
    tensors, numbers = entry_of(flat, SIZE)
    save_file({f"0/{name}": tensor for name, tensor in tensors.items()}, HERE / FILE)
    entry = {"problem": identity(HERE, cell, problem), "dtype": "float32", **numbers}
    record = {"sha256": digest(HERE / FILE), "entries": {"0": entry}}
    (HERE / RECORD).write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
