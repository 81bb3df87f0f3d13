"""The images and names of the emoji case: 1,623 concepts in two styles, 32x32, packed in one file.

    python -m cases.emoji.data            # fetches two npm packages (136 MB) and packs them
    python -m cases.emoji.data --from DIR # from tarballs made by `npm pack`

The packages are emoji-datasource-google and emoji-datasource-twitter 16.0.0, whose digests are checked. Flags, keycaps
and parts of emoji (skin tones, hair) are left out. Images are 64x64 with an alpha channel: composited on white, and
halved by the mean of 2x2 pixels. Licences and attribution: LICENSES.md.
"""

import argparse
import hashlib
import io
import json
import re
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gradbench.checks import UsageError

HERE = Path(__file__).parent
FILE = HERE / "emoji.npz"
STYLES = ("noto", "twemoji")
PACKAGES = {
    "noto": ("emoji-datasource-google", "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438"),
    "twemoji": ("emoji-datasource-twitter", "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877"),
}
VERSION = "16.0.0"
LEFT_OUT = ("Flags", "Component")  # categories
SIZE = 32
HELD_OUT = 10  # every tenth concept, in an order by digest, is held out in one style


@dataclass(frozen=True)
class Emoji:
    """images (n, 2, 32, 32, 3) of bytes, by concept and style; names in lower case; held (n, 2): which are held out."""

    images: np.ndarray
    names: tuple[str, ...]
    held: np.ndarray

    def caption(self, concept: int, style: int) -> str:
        """The prompt of an image."""
        return f"{STYLES[style]} {self.names[concept]}"


@cache
def load(path: Path = FILE) -> Emoji:
    """The packed data."""
    with np.load(path) as packed:
        names = tuple(json.loads(bytes(packed["names"]).decode()))
        return Emoji(packed["images"], names, held_out(names))


def held_out(names: tuple[str, ...]) -> np.ndarray:
    """A tenth of the concepts, each in one style, alternately: no generative network is trained on these images."""
    order = sorted(range(len(names)), key=lambda i: hashlib.sha256(names[i].encode()).hexdigest())
    held = np.zeros((len(names), len(STYLES)), dtype=bool)
    for turn, concept in enumerate(order[: len(names) // HELD_OUT]):
        held[concept, turn % len(STYLES)] = True
    return held


def spoken(name: str) -> str:
    """A name in lower case, letters and digits only."""
    return " ".join(re.findall(r"[a-z0-9]+", name.lower()))


def tarball(style: str, folder: Path) -> Path:
    """The package's tarball in that folder, fetched if missing; `ValueError` for another digest."""
    package, digest = PACKAGES[style]
    path = folder / f"{package}-{VERSION}.tgz"
    if not path.exists():
        subprocess.run(["npm", "pack", "--silent", f"{package}@{VERSION}"], cwd=folder, check=True)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise UsageError(f"{path} has sha256 {found}, expected is {digest}")
    return path


def concepts(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """The name and the image's file name of every concept that both styles have."""
    kept = [
        entry
        for entry in entries
        if entry["category"] not in LEFT_OUT
        and entry["subcategory"] != "keycap"
        and entry["has_img_google"]
        and entry["has_img_twitter"]
    ]
    return [(spoken(entry["name"] or entry["short_name"]), entry["image"]) for entry in kept]


def shrunk(png: bytes) -> np.ndarray:
    """(32, 32, 3) bytes of a 64x64 image with alpha, on white."""
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), dtype=np.float64)
    alpha = pixels[..., 3:] / 255
    white = pixels[..., :3] * alpha + 255 * (1 - alpha)
    return white.reshape(SIZE, 2, SIZE, 2, 3).mean((1, 3)).round().astype(np.uint8)


def pack(folder: Path, out: Path = FILE) -> Emoji:
    """Reads both tarballs and writes the packed file."""
    images: dict[str, dict[str, np.ndarray]] = {}
    found: list[tuple[str, str]] = []
    for style in STYLES:
        vendor = {"noto": "google", "twemoji": "twitter"}[style]
        with tarfile.open(tarball(style, folder)) as archive:
            own, entries = {}, []
            for member in archive:
                if member.name == "package/emoji.json":
                    entries = json.load(archive.extractfile(member))  # type: ignore[arg-type]
                elif member.name.startswith(f"package/img/{vendor}/64/"):
                    own[Path(member.name).name] = archive.extractfile(member).read()  # type: ignore[union-attr]
            found = concepts(entries)
            images[style] = {file: shrunk(own[file]) for _, file in found}
    names = [name for name, _ in found]
    stacked = np.stack([np.stack([images[style][file] for style in STYLES]) for _, file in found])
    np.savez_compressed(out, images=stacked, names=np.frombuffer(json.dumps(names).encode(), dtype=np.uint8))
    return load(out)


def main() -> None:
    """Packs the data, from a folder or from npm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path)
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        made = pack(folder or Path(temporary))
    size, held = FILE.stat().st_size / 2**20, int(made.held.sum())
    print(f"{len(made.names)} concepts, {len(set(made.names))} names, {held} images held out: {FILE}, {size:.1f} MiB")


if __name__ == "__main__":
    main()
