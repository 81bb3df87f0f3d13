"""The grammar `name[p=v,q=[1,2]]` of the command line, of suites and of the library.

A selector names an entry of a catalogue and gives it options. A list value stands for one selector per member, so
`ddim[eta=[0,1]]` is two. `none`, `true` and `false` are keywords; a number is a number; everything else is a string,
which may itself be a selector.
"""

import itertools
import re
from collections.abc import Mapping
from typing import Any

from gradbench.checks import UsageError

_HEAD = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_+.:\-]*)(?:\[(?P<body>.*)\])?\Z", re.DOTALL)
Value = Any  # None, a boolean, a number, a word, or a list of these
Options = Mapping[str, Value]  # of a selector, by name
_WORDS: dict[str, Value] = {"none": None, "true": True, "false": False}


def parse(text: str) -> tuple[str, dict[str, Value]]:
    """Name and options of one selector; `ValueError` names the text and the grammar."""
    match = _HEAD.match(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise _malformed(text)
    options: dict[str, Value] = {}
    for item in _split(text, match["body"] or ""):
        key, equals, value = item.partition("=")
        key = key.strip()
        if not equals or not key.isidentifier():
            raise _malformed(text)
        if key in options:
            raise UsageError(f"selector {text!r} gives {key} twice: write {key}=[value,value] for both")
        options[key] = _value(text, value.strip())
    return match["name"], options


def expand(text: str) -> list[tuple[str, dict[str, Value]]]:
    """`parse`, with list options expanded into one selector per combination."""
    name, options = parse(text)
    axes = [value if isinstance(value, list) else [value] for value in options.values()]
    return [(name, dict(zip(options, chosen, strict=True))) for chosen in itertools.product(*axes)]


def render(name: str, options: Options) -> str:
    """The selector that `parse` reads back: render("rk4", {"chart": "noise"}) == "rk4[chart=noise]"."""
    if not options:
        return name
    return f"{name}[{','.join(f'{key}={_text(value)}' for key, value in options.items())}]"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_text, value))}]"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _value(text: str, value: str) -> Any:
    if value.startswith("[") and value.endswith("]"):
        members = [_value(text, item.strip()) for item in _split(text, value[1:-1])]
        if not members:
            raise _malformed(text)
        return members
    if value.endswith("]") and _HEAD.match(value):
        parse(value)  # an option may be a selector itself: schedule=vp-linear[beta_1=10]
        return value
    if not value or any(mark in value for mark in "[]=\"'"):
        raise _malformed(text)
    if value.lower() in _WORDS:
        return _WORDS[value.lower()]
    for convert in (int, float):
        try:
            return convert(value)
        except ValueError:
            continue
    return value


def _split(text: str, body: str) -> list[str]:
    """The items between top-level commas."""
    if not body.strip():
        return []
    items, depth = [""], 0
    for mark in body:
        depth += (mark == "[") - (mark == "]")
        if depth < 0:
            raise _malformed(text)
        if mark == "," and depth == 0:
            items.append("")
        else:
            items[-1] += mark
    if depth:
        raise _malformed(text)
    return items


def _malformed(text: Any) -> UsageError:
    return UsageError(f"malformed selector {text!r}: write name, name[option=value] or name[option=[value,value]]")
