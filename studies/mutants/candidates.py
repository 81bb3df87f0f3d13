"""The mutants: every small change of a formula in the core, in a fixed order, and a seeded sample of them."""

import ast
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILES = tuple(
    f"gradbench/{name}.py"
    for name in (
        "diffusion/chart",
        "diffusion/sde_chart",
        "samplers/base",
        "samplers/runge_kutta",
        "samplers/multistep",
        "samplers/stochastic",
        "samplers/reversible",
        "estimators/pathwise/recovery",
        "estimators/pathwise/pullback",
        "estimators/pathwise/binomial",
        "estimators/pathwise/inverted",
    )
)
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
COMPARISON = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
PAIRS = (("t0", "t1"), ("c0", "c1"), ("alpha", "sigma"), ("dalpha", "dsigma"))
TWINS = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
CHECKS = ("refuses", "__repr__")  # functions that check input or print
FLAGS_THAT_CHECK = ("strict", "init")  # keywords whose flag changes no number


@dataclass(frozen=True)
class Mutant:
    """One change of one file: bytes start to end replaced by `new`."""

    file: str
    operator: str
    line: int
    start: int
    end: int
    new: str

    def source(self, root: Path) -> str:
        """The file's text with the change made."""
        text = (root / self.file).read_bytes()
        return (text[: self.start] + self.new.encode() + text[self.end :]).decode()

    def diff(self, root: Path) -> tuple[str, str]:
        """The changed lines, before and after, each joined into one."""
        text = (root / self.file).read_bytes()
        head = text.rfind(b"\n", 0, self.start) + 1
        tail = text.find(b"\n", self.end)
        after = text[head : self.start] + self.new.encode() + text[self.end : tail]
        before, after = text[head:tail].decode(), after.decode()
        return " ".join(before.split()), " ".join(after.split())

    @property
    def key(self) -> str:
        """A unique name for it."""
        return f"{self.file}:{self.line}:{self.start}-{self.end}:{self.new}"


def formulas(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a tree that compute: no type hint, message, input check, decorator or docstring."""
    if isinstance(node, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.If) and isinstance(node.body[0], ast.Raise):
        return
    if isinstance(node, ast.FunctionDef) and node.name in CHECKS:
        return
    if isinstance(node, ast.keyword) and node.arg in FLAGS_THAT_CHECK:
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from formulas(child)


def changes(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """(operator, the node's replacement)."""
    match node:
        case ast.BinOp(left, op, right) if type(op) in ARITHMETIC:
            other = ARITHMETIC[type(op)]()
            yield ("sign" if isinstance(op, ast.Add | ast.Sub) else "factor"), ast.BinOp(left, other, right)
            if isinstance(op, ast.Mult | ast.Div):
                yield "minus", ast.UnaryOp(ast.USub(), node)
        case ast.UnaryOp(ast.USub(), operand):
            yield "minus", operand
        case ast.Constant(bool() as flag):
            yield "flag", ast.Constant(not flag)
        case ast.Constant(int() | float() as number):
            for value in sorted({number + 1, 2 * number, -number} - {number}):
                yield "number", ast.Constant(value)
        case ast.Compare(left, [op], right) if type(op) in COMPARISON:
            yield "comparison", ast.Compare(left, [COMPARISON[type(op)]()], right)
        case ast.Subscript(value, ast.Name() | ast.BinOp() as index, ast.Load()):
            yield "index", ast.Subscript(value, ast.BinOp(index, ast.Add(), ast.Constant(1)), ast.Load())
        case ast.Attribute(value, name, ast.Load()) if name in TWINS:
            yield "twin", ast.Attribute(value, TWINS[name], ast.Load())
        case ast.Name(name, ast.Load()) if name in TWINS:
            yield "twin", ast.Name(TWINS[name], ast.Load())


def candidates(file: str, root: Path) -> list[Mutant]:
    """Every mutant of a file, in the order of its text."""
    text = (root / file).read_bytes()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node in formulas(ast.parse(text)):
        for operator, new in changes(node):
            start = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
            end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
            code = ast.unparse(new)
            code = f"({code})" if isinstance(new, ast.BinOp | ast.UnaryOp | ast.Compare) else code
            found.append(Mutant(file, operator, node.lineno, start, end, code))  # type: ignore[attr-defined]
    return sorted(found, key=lambda m: (m.start, m.end, m.new))


def sample(count: int, seed: int, root: Path) -> list[Mutant]:
    """At least `count` mutants, from each file in proportion to its lines, as far as it has enough."""
    held = {file: candidates(file, root) for file in FILES}
    lines = {file: len((root / file).read_text().splitlines()) for file in FILES}
    if not 0 < count <= sum(map(len, held.values())):
        raise ValueError(f"mutants must be between 1 and {sum(map(len, held.values()))}, got {count}")
    density = 0.0
    while sum(shares := [min(len(held[file]), round(density * lines[file])) for file in FILES]) < count:
        density += 0.01
    chosen = []
    for (file, mutants), share in zip(held.items(), shares, strict=True):
        picked = random.Random(f"{seed} {file}").sample(range(len(mutants)), share)
        chosen += [mutants[i] for i in sorted(picked)]
    return chosen
