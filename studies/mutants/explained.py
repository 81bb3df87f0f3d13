"""Survivors that compute the same as the code they change: (file, line before, line after) -> why."""

Change = tuple[str, str, str]

EQUIVALENT: dict[Change, str] = {
    (
        "gradbench/samplers/base.py",
        "return point if ratio == 1.0 else point * ratio",
        "return point if ratio == -1.0 else point * ratio",
    ): "a ratio of scales is positive, and a point times 1.0 is the point; the test for 1.0 saves a copy.",
    (
        "gradbench/samplers/stochastic.py",
        "square = ((point - mean) ** 2).flatten(1).sum(1)",
        "square = ((point - mean) ** 2).flatten(1).sum(-1)",
    ): "after `flatten(1)` there are two dimensions, and the last is dimension 1.",
    (
        "gradbench/estimators/pathwise/pullback.py",
        "if steps <= n or j * n % steps == 0:",
        "if (steps < n) or j * n % steps == 0:",
    ): "with steps = n the second condition holds for every j.",
    ("gradbench/estimators/pathwise/binomial.py", "if n - place > 1:", "if (n + place) > 1:"): (
        "it adds the case of one step left after a mark, where `next_snapshot` is 0 and the mark already exists."
    ),
    (
        "gradbench/estimators/pathwise/inverted.py",
        "blocks = [self.made[i * size : (i + 1) * size] for i in reversed(range(parts))]",
        "blocks = [self.made[(-(i * size)) : (i + 1) * size] for i in reversed(range(parts))]",
    ): "a rule has one or two parts, and with two the second half starts at `size` from either end.",
    (
        "gradbench/estimators/pathwise/inverted.py",
        "blocks = [self.made[i * size : (i + 1) * size] for i in reversed(range(parts))]",
        "blocks = [self.made[i * size : (i + 2) * size] for i in reversed(range(parts))]",
    ): "the last block comes first and ends where the list does; the surplus of the next block comes last, "
    "and the step asks for no more evaluations than its inverse made.",
}
