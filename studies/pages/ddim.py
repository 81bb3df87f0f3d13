"""What DDIM's experiments say of its claims: the numbers of docs/findings/ddim.json."""

import statistics
from collections.abc import Callable
from typing import Any

from gradbench.data import Json
from studies.common import number
from studies.pages.claims import verdict_of

NEAR = 0.02  # a share of samples that is not told from another


def ddim(kept: Json) -> dict[str, Callable[..., Any]]:
    """The functions called by templates, by name."""
    quality = {(each["sampler"], each["steps"]): each["distance"] for each in kept["quality"]}
    whole, steps = max(quality, key=lambda place: place[1])
    few = sorted(n for sampler, n in quality if sampler == "ddim")
    between = [each["known"] for each in kept["between"]]

    def speed() -> str:
        """DDIM with few steps against DDPM with all of its training's."""
        found = ", ".join(f"{number(statistics.fmean(quality['ddim', n]))} with {n} steps" for n in few)
        return f"Frechet distance of `digits`: eta = 0 {found}; eta = 1 with {steps:,} {number(statistics.fmean(quality[whole, steps]))}"

    def speed_verdict() -> str:
        """10 to 50 times fewer steps: whether the distance is not larger."""
        apt = [n for n in few if 10 <= steps / n <= 50]
        return verdict_of(statistics.fmean(quality["ddim", n]) <= max(quality[whole, steps]) for n in apt)

    def distances(sampler: str) -> str:
        """By steps."""
        return ", ".join(number(statistics.fmean(quality[sampler, n])) for n in few)

    def falls() -> str:
        """Whether every larger number of steps has a smaller distance."""
        means = [statistics.fmean(quality["ddim", n]) for n in few]
        return verdict_of(later < earlier for earlier, later in zip(means, means[1:], strict=False))

    def shares() -> str:
        """From one noise to the other."""
        return ", ".join(number(share) for share in between)

    def between_verdict() -> str:
        """Whether those between are recognised about as often as the ends."""
        return verdict_of(share >= min(between[0], between[-1]) - NEAR for share in between[1:-1])

    def again(network: str) -> str:
        """The errors by steps."""
        return ", ".join(number(each[network]) for each in kept["again"])

    def again_verdict() -> str:
        """Whether the error falls with every larger number of steps, on both networks."""
        pairs = zip(kept["again"], kept["again"][1:], strict=False)
        return verdict_of(
            later[network] < earlier[network] for earlier, later in pairs for network in ("digits", "emoji")
        )

    named = (speed, speed_verdict, distances, falls, shares, between_verdict, again, again_verdict)
    return {f"ddim_{function.__name__}": function for function in named}
