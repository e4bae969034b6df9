"""A folder of labelled images, with one folder for each class.

photographs/cat/1.jpg      photographs/dog/2.jpg       the names of --labels
photographs/0/1.jpg        photographs/1/2.jpg         else the numbers of the classes
photographs/a/1.jpg        photographs/b/2.jpg         else any names, one for each class: sorted, they are
                                                       0, 1, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.accuracy.pictures import NoImageError, Pictures, files_in, require_picture, spread
from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import InputSpec
from mocovit_deploy.terminal.table import shortened

SHOWN = 5
"""How many files that were left out a note names."""


@dataclass(frozen=True)
class KnownClasses:
    """The classes of a network."""

    count: int
    names: tuple[str, ...] = ()
    """In the order of the network's outputs; empty if they were not given."""


@dataclass(frozen=True)
class LabelledFolder:
    """The images of a folder and their labels."""

    pictures: Pictures
    labels: Classes
    notes: tuple[str, ...]
    """Messages about files that were left out."""


def read_folder(folder: Path, image: InputSpec, images: int | None, known: KnownClasses) -> LabelledFolder:
    """`images` images (None: all), evenly chosen from a folder with one folder for each class.

    Raises `UsageError` for a folder with too few images, and for folders inside it that are not classes.
    """
    found = files_by_class(folder)
    names = sorted({path.relative_to(folder).parts[0] for path in found})
    index = _index(folder, names, known)
    count = len(found) if images is None else images
    chosen: list[Path] = []
    left_out: list[str] = []
    for path in spread(found, count):
        if len(chosen) == count:
            break
        try:
            require_picture(path)
            chosen.append(path)
        except NoImageError as error:
            left_out.append(f"{path.relative_to(folder)} ({error})")
    if not chosen:
        raise UsageError(f"{folder}: none of its {len(found)} files is an image; the first: {left_out[0]}")
    if images is not None and len(chosen) < images:
        raise UsageError(
            f"{folder}: holds only {len(chosen)} of {images} images; give more, or ask for fewer"
        )
    chosen.sort()
    labels = np.array([index[path.relative_to(folder).parts[0]] for path in chosen], np.int64)
    return LabelledFolder(Pictures(tuple(chosen), image), labels, _notes(folder, left_out))


def files_by_class(folder: Path) -> list[Path]:
    """The files below the folders of `folder`. Raises `UsageError` if there are none; opens no file."""
    found = [path for path in files_in(folder) if path.parent != folder]
    if not found:
        raise UsageError(f"{folder}: holds no folders; --data takes one folder of images for each class")
    return found


def _index(folder: Path, names: Sequence[str], known: KnownClasses) -> dict[str, int]:
    """The class of each folder."""
    strange = [name for name in names if name not in known.names]
    if not strange:
        return {name: known.names.index(name) for name in names}
    if all(name.isascii() and name.isdigit() for name in names):
        return {name: int(name) for name in names}
    if known.names:
        raise UsageError(
            f"{folder}: {strange[0]} is not a class of the network, whose labels begin with "
            f"{', '.join(known.names[:SHOWN])}; rename or remove the folder"
        )
    if len(names) != known.count:
        raise UsageError(
            f"{folder}: holds {len(names)} folders for {known.count} classes; export with --labels, or name "
            "the folders by the numbers of the classes"
        )
    return {name: place for place, name in enumerate(names)}


def _notes(folder: Path, left_out: Sequence[str]) -> tuple[str, ...]:
    return (f"left out of {folder}: {shortened(left_out, SHOWN)}",) if left_out else ()
