"""The user's own labelled images: from a folder, a function or an .npz.

    photographs/cat/1.jpg ...     one folder for each class (folder.py)

    def held_out(image: InputSpec, images: int | None) -> tuple[images, labels]

    images   (n, H, W, C) uint8, pixels 0 to 255 in RGB: preprocessed here for the network
             (n, C, H, W) float32: preprocessed already
    labels   (n,) whole numbers from 0

The function gets the input that the network takes (its size, its preprocessing) and the number of images to
return (None: all). An .npz holds the two arrays under these names, and its first `images` images are used.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mocovit_deploy.accuracy.answers import Tensors
from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.accuracy.folder import KnownClasses, read_folder
from mocovit_deploy.accuracy.pictures import Pictures
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import DeployError, UsageError, first_line
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.spec import InputSpec, Preprocessing
from mocovit_deploy.user_functions import load_function

LARGEST_BYTES = 8 << 30
"""Bytes that the arrays of an .npz may have unpacked. More is a mistake, or an attack."""


@dataclass(frozen=True)
class Labelled:
    """Images as described above, and their labels."""

    images: Array | Pictures
    labels: Classes
    notes: tuple[str, ...] = ()
    """Messages about files that were left out."""

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each image: its file, or its number."""
        if isinstance(self.images, Pictures):
            return tuple(map(str, self.images.paths))
        return tuple(f"image {number}" for number in range(len(self.labels)))

    def tensors(self, how: Preprocessing) -> Tensors:
        """A function from a range of indices to preprocessed images, (n, C, H, W) float32."""
        if self.images.dtype == np.float32:
            return lambda start, stop: self.images[start:stop]
        return lambda start, stop: np.stack([preprocess(one, how) for one in self.images[start:stop]])


def read_labelled(
    name: str, image: InputSpec, images: int | None, known: KnownClasses | None = None
) -> Labelled:
    """The first `images` images (None: all) of the source `name`, for a network that takes `image`.

    Images of a folder are evenly chosen, and `known` maps its folders to classes. Raises `UsageError` for a
    source that does not exist or fails, and for arrays that do not fit.
    """
    if known is not None and Path(name).is_dir():
        folder = read_folder(Path(name), image, images, known)
        return Labelled(folder.pictures, folder.labels, folder.notes)
    if name.endswith(".npz"):
        arrays = read_labelled_arrays(Path(name), ("images", "labels"), ())
        found = (arrays["images"], arrays["labels"])
    else:
        found = _from_function(name, image, images)
    pictures, labels = (np.asarray(array) for array in found)
    require_labels(name, labels)
    (height, width), channels = image.sides, image.channels
    wanted = (height, width, channels) if pictures.dtype == np.uint8 else (channels, height, width)
    fits = pictures.ndim == 4 and pictures.shape[1:] == wanted
    if pictures.dtype not in (np.uint8, np.dtype(image.dtype)) or not fits:
        tensors = f" or float32 (n, {channels}, {height}, {width})" if image.dtype == "float32" else ""
        pixels = f"uint8 (n, {height}, {width}, {channels})"
        raise UsageError(f"{name}: images are {_described(pictures)}, not {pixels}{tensors}")
    if len(pictures) != len(labels):
        raise UsageError(f"{name}: {len(pictures)} images for {len(labels)} labels")
    if images is not None and len(labels) < images:
        raise UsageError(f"{name}: holds only {len(labels)} of {images} images; give more, or ask for fewer")
    return Labelled(pictures[:images], labels[:images].astype(np.int64))


def require_labels(name: str, labels: Array) -> None:
    """Raise `UsageError` for labels that are not (n,) whole numbers from 0, n >= 1."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels):
        raise UsageError(f"{name}: labels are {_described(labels)}, not (n,) whole numbers")
    if int(labels.min()) < 0:
        raise UsageError(f"{name}: a label is {int(labels.min())}; labels count from 0")


def _from_function(name: str, image: InputSpec, images: int | None) -> tuple[Array, Array]:
    if ":" not in name:
        raise UsageError(f"{name}: not a folder, module:function, file.py:function or a file ending in .npz")
    function = load_function(name)
    try:
        pictures, labels = function(replace(image, batch=1), images)
    except DeployError:
        raise
    except Exception as error:
        raise UsageError(
            f"{name}: does not return (images, labels): {type(error).__name__}: {first_line(error)}"
        ) from error
    return pictures, labels


def read_labelled_arrays(path: Path, needed: Sequence[str], welcome: Sequence[str]) -> dict[str, Array]:
    """The arrays of an .npz by name: all of `needed`, and those of the optional `welcome` that it holds.

    Raises `UsageError` if the file does not exist, is not an .npz, lacks an array of `needed`, or unpacks to
    more than `LARGEST_BYTES`.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > LARGEST_BYTES:
            raise UsageError(f"{path}: unpacks to {unpacked:,} bytes, more than {LARGEST_BYTES:,}")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in (*needed, *(one for one in welcome if one in arrays))}
    except (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        named = " and ".join(f"`{name}`" for name in needed)
        raise UsageError(
            f"{path}: holds no {'array' if len(needed) == 1 else 'arrays'} {named} that can be read "
            f"({first_line(error)})"
        ) from None


def _described(array: Array) -> str:
    return f"{array.dtype} ({', '.join(map(str, array.shape))})"
