"""The page of the mutation study, from the verdicts."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from studies.mutants.candidates import FILES, Mutant, candidates
from studies.mutants.explained import EQUIVALENT

OUTCOMES = ("first stage", "second stage", "timeout", "survived")
OPERATORS = {
    "sign": "`+` and `-` exchanged",
    "factor": "`*` and `/` exchanged",
    "minus": "a unary minus dropped or added",
    "number": "a number c replaced by c + 1, 2c or -c",
    "comparison": "`<` and `<=`, `>` and `>=`, `==` and `!=` exchanged",
    "index": "an index k replaced by k + 1",
    "flag": "`True` and `False` exchanged",
    "twin": "t0 and t1, c0 and c1, alpha and sigma exchanged",
}
Verdicts = Mapping[str, Mapping[str, Mapping[str, str]]]


def outcome(mutant: Mutant, kept: Verdicts) -> str:
    """One of OUTCOMES; "not run" if the verdicts end before."""
    found = kept.get(mutant.key, {})
    for stage in ("first", "second"):
        verdict = found.get(stage, {}).get("verdict", "not run")
        if verdict != "survived":
            return f"{stage} stage" if verdict == "killed" else verdict
    return "survived"


def page(mutants: Sequence[Mutant], kept: Verdicts, seed: int, root: Path) -> str:
    """Counts by file and operator, and each survivor with its reason."""
    ends = {mutant: outcome(mutant, kept) for mutant in mutants}
    missing = sum(end == "not run" for end in ends.values())
    if missing:
        raise ValueError(f"{missing} of {len(mutants)} mutants have no verdict yet: run both stages")
    survivors = [mutant for mutant, end in ends.items() if end == "survived"]
    equivalent = [m for m in survivors if (m.file, *m.diff(root)) in EQUIVALENT]
    killed, total = len(mutants) - len(survivors), len(mutants)
    alive = total - len(equivalent)
    return "\n".join(
        [
            HEAD,
            f"{killed} of {total} mutants are killed: **{killed / total:.1%}**. Of the {len(survivors)} survivors, "
            f"{len(equivalent)} compute the same numbers as the original code, for the reasons below; of the {alive} "
            f"other mutants, {killed} are killed: **{killed / alive:.1%}**.\n",
            "## By file\n",
            _counts(
                "file", FILES, lambda m: m.file, ends, {f: str(len(candidates(f, root))) for f in FILES}, "possible"
            ),
            "## By change\n",
            _counts("change", tuple(OPERATORS), lambda m: m.operator, ends, OPERATORS, "what is done"),
            "## Survivors\n",
            *[_survivor(mutant, root) for mutant in survivors],
            f"*Made by `python -m studies.mutants --count {total} --seed {seed}`.*\n",
        ]
    )


HEAD = """# Do the tests notice a wrong formula?

A mutant is the code with one small error: a sign, a factor, an index, a number. It is killed if a test fails on it.
Mutants of the charts, rules, recoveries and pullbacks are made from the syntax tree; type hints, messages, input checks
and docstrings are left alone. Those that are run are drawn with a seed, from each file in proportion to its lines.

Each runs in its own process, which has imported torch but not gradbench. The first stage is one golden entry of each
sampler, adjoint and option, with the few tests closest to the file. Survivors go to the second stage: the tests of the
file's package that do not take minutes, the comparison with the schedulers of diffusers, and every golden entry of two
other schedules. Both are only part of the tests, so the true number killed is no smaller. A mutant that uses
more than 60 seconds of processor time (600 in the second stage), several times what the unchanged code needs, counts as
killed by the timeout.

At first the tests of these stages missed errors in the `diffusion` of an SDE chart, a clock's inverse at sigma = 0 and
alpha = 0, interval ends off the grid's times, transition densities of images, backward times between those of the grid,
slopes added twice by a multi-stage rule, an adjoint rule's order and evaluations, the number of repetitions of a
one-step chain, its start kept twice, and an inverse whose network does not read every leaf. Tests were written for
each, and the mutants run again: `test_chart.py`, `test_rules.py`, `test_pullback.py`, `test_revolve.py` and
`test_exactness.py` have them.
"""


def _counts(
    name: str,
    groups: Sequence[str],
    of: Callable[[Mutant], str],
    ends: Mapping[Mutant, str],
    notes: Mapping[str, str],
    note: str,
) -> str:
    counts = Counter((of(mutant), end) for mutant, end in ends.items())
    lines = [[name, note, "mutants", *OUTCOMES, "killed"], ["---"] * 8]
    for group in [*groups, "all"]:
        found = [sum(counts[g, end] for g in groups if group in (g, "all")) for end in OUTCOMES]
        share = f"{1 - found[-1] / sum(found):.0%}" if sum(found) else ""
        lines.append([f"`{group}`", notes.get(group, ""), *map(str, [sum(found), *found]), share])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _survivor(mutant: Mutant, root: Path) -> str:
    change = (mutant.file, *mutant.diff(root))
    reason = f"Equivalent: {EQUIVALENT[change]}" if change in EQUIVALENT else "A gap: no test of either stage notices."
    before, after = change[1:]
    return f"`{mutant.file}`, line {mutant.line}\n\n```diff\n- {before}\n+ {after}\n```\n\n{reason}\n"
