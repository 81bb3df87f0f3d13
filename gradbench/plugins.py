"""What other installed packages offer by entry points, read from their metadata without importing them."""

import importlib.util
from collections.abc import Collection
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path


def spec_of(module: str) -> ModuleSpec | None:
    """Where a module is, or None; its parent packages are imported."""
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


@dataclass(frozen=True)
class Plugin:
    """One entry point: its name, its place ("module:attribute" or "package"), and who offers it."""

    name: str
    place: str
    package: str
    summary: str = ""

    @property
    def lacking(self) -> str | None:
        """Why it cannot be loaded, as far as can be seen without importing it."""
        top = self.place.partition(":")[0].partition(".")[0]
        return None if spec_of(top) else f"cannot be loaded: there is no module {top!r} on the path"

    @property
    def folder(self) -> Path | None:
        """The folder of the package that it names, or None."""
        top, *inner = self.place.split(".")
        spec = spec_of(top)
        homes = [Path(home, *inner) for home in (spec.submodule_search_locations or [])] if spec else []
        return next((home for home in homes if home.is_dir()), None)


class Plugins(dict[str, Plugin]):
    """The entry points of a group by name; `refused` has a line for each whose name is taken.

    taken: the names that gradbench itself uses. If packages share a name, the alphabetically first gets it.
    """

    def __init__(self, group: str, taken: Collection[str] = ()) -> None:
        super().__init__()
        from importlib.metadata import entry_points

        self.refused: list[str] = []
        points = entry_points(group=group) if group else ()
        for point in sorted(points, key=lambda point: point.dist.name if point.dist else ""):
            about = point.dist
            package = f"{about.name} {about.version}" if about else "an unknown package"
            if point.name in taken or point.name in self:
                owner = self[point.name].package if point.name in self else "gradbench"
                self.refused.append(f"{point.name!r} of {package} is left out: {owner} has that name")
                continue
            summary = about.metadata["Summary"] if about and "Summary" in about.metadata else ""
            self[point.name] = Plugin(point.name, point.value.partition("[")[0].strip(), package, summary)
