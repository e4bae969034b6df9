"""Image files as pixels: the largest centred part with the proportions that a network takes, scaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import UsageError, first_line
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.spec import InputSpec

MOST_PIXELS = 1 << 27
"""Pixels that one image file may have. More is a mistake, or an attack."""


class NoImageError(Exception):
    """A file that cannot be read as an image; the message says why."""


@dataclass(frozen=True)
class Pictures:
    """The images in files, read when they are asked for: (n, H, W, C) uint8."""

    paths: tuple[Path, ...]
    image: InputSpec
    dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, chosen: slice) -> Array:
        """(n, H, W, C) uint8. Raises `UsageError` for a file that can no longer be read."""
        return np.stack([self._pixels(path) for path in self.paths[chosen]])

    def _pixels(self, path: Path) -> Array:
        try:
            return read_pixels(path, self.image)
        except NoImageError as error:
            raise UsageError(f"{path}: {error}") from None


def files_in(folder: Path) -> list[Path]:
    """The files in a folder and below it, sorted, without hidden ones.

    Raises `UsageError` for a folder that cannot be read or holds no files.
    """
    try:
        found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be read ({error.strerror})") from None
    if not found:
        raise UsageError(f"{folder}: holds no files; give a folder of images")
    return found


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """All paths, `count` evenly spaced ones first, because folders are often sorted by class.

    >>> [path.name for path in spread([Path(name) for name in "abcdef"], 3)]
    ['a', 'c', 'e', 'b', 'd', 'f']
    """
    step = max(len(paths) / count, 1.0)
    first = [int(i * step) for i in range(min(count, len(paths)))]
    chosen = set(first)
    return [paths[i] for i in first] + [path for i, path in enumerate(paths) if i not in chosen]


def require_picture(path: Path) -> None:
    """Check a file's first bytes. Raises `NoImageError` if they are not an image's, or it is too large."""
    pil = needs_extra("PIL.Image", "export")
    try:
        with pil.open(path) as opened:
            pixels = opened.width * opened.height
    except Exception as error:  # noqa: BLE001 - a decoder raises any type over a damaged file
        raise NoImageError(f"not an image: {first_line(error)}") from None
    if pixels > MOST_PIXELS:
        raise NoImageError(f"it has {pixels:,} pixels, more than {MOST_PIXELS:,}")


def read_pixels(path: Path, image: InputSpec) -> Array:
    """The largest centred part of an image file with the proportions of `image`, scaled: (H, W, C) uint8.

    Raises `NoImageError` for a file that cannot be decoded.
    """
    require_picture(path)
    pil = needs_extra("PIL.Image", "export")
    operations = needs_extra("PIL.ImageOps", "export")
    try:
        with pil.open(path) as opened:
            upright = operations.exif_transpose(opened)
            picture = upright.convert("RGB" if image.channels == 3 else "L")
    except Exception as error:  # noqa: BLE001 - as above
        raise NoImageError(f"not an image: {first_line(error)}") from None
    height, width = image.sides
    shrink = min(picture.width / width, picture.height / height)
    # A product may exceed the picture by a rounding error, and PIL refuses a box with a negative corner.
    wide, high = min(width * shrink, picture.width), min(height * shrink, picture.height)
    left, top = (picture.width - wide) / 2, (picture.height - high) / 2
    box = (left, top, min(left + wide, picture.width), min(top + high, picture.height))
    scaled = picture.resize((width, height), box=box)
    return np.asarray(scaled, np.uint8).reshape(height, width, image.channels)
