"""The fenced blocks of a page, and whether what a program prints is what the page shows."""

import re
from dataclasses import dataclass

import pytest

FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
NUMBER = r"\d+\.\d+"
PIECE = re.compile(rf"(?P<lines>^…(?:\n|\Z))|(?P<some>…)|(?P<space>\s+)|(?P<number>{NUMBER})|(?P<word>.)", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that its title names, its text, and what the page shows as its output.

    shown: of a `python` block the `text` block that comes next, or "It prints `...`" before the next block; of a
    `console` block what stands below its `$` line.
    """

    language: str
    file: str | None
    text: str
    shown: str | None

    @property
    def line(self):
        """The command of a console block."""
        return self.text.removeprefix("$ ").partition("\n")[0]


def blocks(page):
    """The blocks of a page that are to be run or written, in their order."""
    found = list(FENCE.finditer(page))
    made = []
    for fence, after in zip(found, [*found[1:], None], strict=True):
        language, file, text = fence.groups()
        shown = re.search("It prints `(.*?)`", page[fence.end() : after.start() if after else len(page)])
        shown = shown[1] if shown else after[3] if after and after[1] == "text" else None
        if language == "console":
            shown = text.partition("\n")[2]
        if language != "text":
            made.append(Block(language, file, text, shown))
    return made


def assert_alike(printed, shown):
    """The same words, and numbers as near as another processor's rounding leaves them.

    `…` stands for anything on its line (a time, a machine), a line of it alone for any lines. Spaces may be of any
    width, as columns follow their widest word.
    """
    match = re.fullmatch("".join(map(_pattern, PIECE.finditer(shown.strip()))), printed.strip())
    assert match, f"printed\n{printed}\nwhere the page shows\n{shown}"
    numbers = [float(text) for text in re.findall(NUMBER, shown)]
    assert [float(text) for text in match.groups()] == pytest.approx(numbers, rel=1e-3)


def _pattern(piece):
    """What a piece of the page may be in the program's output, as a regular expression."""
    patterns = {"lines": "(?s:.*?)", "some": "[^\n]*", "space": r"\s+", "number": f"({NUMBER})", "word": None}
    return patterns[piece.lastgroup] or re.escape(piece[0])
