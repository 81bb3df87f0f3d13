"""Draws docs/theory/images/chart.svg when run: a chart, the four recoveries and the two pullbacks."""

import math
from collections.abc import Iterable
from pathlib import Path

PLACE = Path(__file__).parents[1] / "theory" / "images" / "chart.svg"
STYLE = """
  svg { --ink: #24292f; --soft: #8a929b; --blue: #1f6fb2; --red: #c2452d; --paper: #ffffff }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6e8eb; --soft: #8b949e; --blue: #62a8ea; --red: #f0836b; --paper: #1e2129 }
  }
  text { fill: var(--ink); font: 15px system-ui, sans-serif }
  .head { font-weight: 600; font-size: 17px } .small { font-size: 14px } .mid { text-anchor: middle }
  .right { text-anchor: end } .red { fill: var(--red) } .blue { fill: var(--blue) }
  path, line { fill: none; stroke: var(--ink); stroke-width: 1.3 }
  .path { stroke: var(--blue); stroke-width: 1.6 } .back { stroke: var(--red); stroke-width: 1.8 }
  .soft { stroke: var(--soft); stroke-width: 1 } .dash { stroke-dasharray: 4 3 }
  circle { stroke: var(--blue); stroke-width: 1.5; fill: var(--paper) } .kept { fill: var(--blue) }
  .off { stroke: var(--red) } .tape { fill: none; stroke: var(--soft); stroke-width: 1 }
"""
Point = tuple[float, float]


def path(points: Iterable[Point], kind: str, arrow: str = "") -> str:
    """A line through points."""
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<path class="{kind}" d="M{line}"{f" marker-end={chr(34)}url(#{arrow}){chr(34)}" if arrow else ""}/>'


def arc(a: Point, b: Point, lift: float, kind: str, arrow: str) -> str:
    """An arrow from a to b, bent upwards by `lift`."""
    (x0, y0), (x1, y1) = a, b
    bend = f"M{x0:.1f},{y0:.1f} Q{(x0 + x1) / 2:.1f},{(y0 + y1) / 2 - 2 * lift:.1f} {x1:.1f},{y1:.1f}"
    return f'<path class="{kind}" d="{bend}" marker-end="url(#{arrow})"/>'


def say(x: float, y: float, words: str, kind: str = "") -> str:
    """Words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{words}</text>'


def dot(x: float, y: float, kind: str = "") -> str:
    """A state."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="{kind}"/>'


def chart() -> list[str]:
    """Five paths of the flow towards one data point, alpha = cos, sigma = sin, in time and in the noise chart."""
    made = [say(20, 28, "A chart: the same five paths in two coordinates", "head")]
    last, point = math.atan(4.0), 0.8
    for left, noise in ((60, False), (520, True)):

        def place(t: float, eps: float, left: int = left, noise: bool = noise) -> Point:
            x = math.cos(t) * point + math.sin(t) * eps
            across, up = (math.tan(t) / 4, x / math.cos(t) / 4.6) if noise else (t / last, x / 1.25)
            return left + 340 * (1 - across), 138 - 60 * up

        made += [path([(left, 215), (left + 352, 215)], "soft"), path([(left, 215), (left, 55)], "soft")]
        for eps in (-1.1, -0.6, -0.1, 0.4, 0.9):
            made.append(path([place(last * i / 60, eps) for i in range(60, -1, -1)], "path"))
        (x0, y0), (x1, y1) = place(last, 0.9), place(last * 0.999, 0.9)
        slope = (y1 - y0) / (x1 - x0)
        made.append(path([(x0, y0), (left + 340, y0 + 340 * slope)], "back dash"))
        made.append(dot(*place(0.0, 0.0), "kept"))
        end = "y = x/alpha against sigma/alpha: the noise chart" if noise else "x against t: the time chart"
        made.append(say(left + 170, 250, end, "mid small"))
        verdict = "one Euler step is exact" if noise else "one Euler step misses"
        made.append(say(left + 236, 196, verdict, "mid small red"))
        made += [say(left, 232, "noise", "mid small"), say(left + 340, 232, "data", "mid small")]
    return made


def recoveries() -> list[str]:
    """What each recovery keeps of a chain of eight steps, and how it gets the state before a step."""
    made = [say(20, 285, "A recovery: how the state before a step comes back", "head")]
    told = {
        "Stored": ("every state is kept", range(9)),
        "Binomial": ("a few are kept, the others computed again", (0, 4, 8)),
        "Inverted": ("the step is undone: the same states", (8,)),
        "Resolved": ("solved backwards from x_0: nearly the same", (8,)),
    }
    for row, (name, (words, kept)) in enumerate(told.items()):
        y = 322 + 52 * row
        xs = [150 + 52 * k for k in range(9)]
        made += [say(20, y + 5, name), path([(xs[0], y), (xs[-1], y)], "soft"), say(600, y + 5, words, "small")]
        if name == "Binomial":
            made += [arc((xs[k] + 4, y - 5), (xs[k + 1] - 4, y - 5), 8, "path", "blue") for k in (4, 5, 6)]
        for k in range(8, 0, -1):
            drift = 1.6 * (8 - k) if name == "Resolved" else 0.0
            after = 1.6 * (9 - k) if name == "Resolved" else 0.0
            if name in ("Inverted", "Resolved"):
                kind = "back dash" if name == "Resolved" else "back"
                made.append(arc((xs[k] - 4, y - 5 - drift), (xs[k - 1] + 4, y - 5 - after), 6, kind, "red"))
            if name == "Resolved":
                made.append(dot(xs[k - 1], y - after, "off"))
        made += [dot(x, y, "kept" if k in kept else "") for k, x in enumerate(xs) if name != "Resolved" or k == 8]
    return made + [say(150, 504, "x_T", "mid small"), say(566, 504, "x_0", "mid small")]


def pullbacks() -> list[str]:
    """One step crossed backwards: by its own transpose, and by a step of a solver of the adjoint equation."""
    made = [say(20, 575, "A pullback: how the cotangent a crosses a step", "head")]
    for left, name in ((60, "Transpose"), (520, "ContinuousAdjoint")):
        a, b = (left + 50.0, 640.0), (left + 290.0, 640.0)
        made += [dot(*a, "kept"), dot(*b, "kept"), say(a[0] - 10, a[1] + 5, "x_k", "right")]
        made += [say(b[0] + 10, b[1] + 5, "x_k+1"), say(left + 170, 602, name, "mid")]
        made += [
            say(a[0] - 10, 705 if name == "Transpose" else 698, "a_k", "right red"),
            say(b[0] + 10, 705, "a_k+1", "red"),
        ]
        if name == "Transpose":
            made.append(f'<rect class="tape" x="{left + 100}" y="620" width="140" height="40" rx="6"/>')
            made += [
                path([(a[0] + 6, 640), (b[0] - 9, 640)], "path", "blue"),
                say(left + 170, 634, "step", "mid small"),
            ]
            made.append(path([(b[0] - 6, 700), (a[0] + 9, 700)], "back", "red"))
            words = ("a_k = (d step/dx at x_k)^T a_k+1", "the step again, on a tape: exact for the sampler")
        else:
            made.append(path([a, b], "soft dash"))
            curve = [(b[0] - 6 - 2.4 * s, 704 - 16 * math.sin(math.pi * s / 200)) for s in range(98)]
            made += [path(curve, "soft"), path([curve[0], (a[0] + 9, 704 - 25)], "back", "red")]
            words = (
                "da/dtau = -(dF/dy)^T a, from x_k+1",
                "a step of a solver of its own: exact in the limit",
            )
        made += [say(left + 170, 733, words[0], "mid small"), say(left + 170, 753, words[1], "mid small")]
    return made


def drawing() -> str:
    """The whole picture as SVG."""
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0,0 8,4 0,8z" style="fill: var(--{name}); stroke: none"/></marker>'
        for name in ("blue", "red")
    )
    body = "\n".join([*chart(), *recoveries(), *pullbacks()])
    title = "<title>A chart, the four recoveries and the two pullbacks</title>"
    opening = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 770" role="img">'
    return f"{opening}\n{title}\n<style>{STYLE}</style>\n<defs>{heads}</defs>\n{body}\n</svg>\n"


if __name__ == "__main__":
    PLACE.write_text(drawing())
