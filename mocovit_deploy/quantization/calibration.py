"""Read the images to calibrate on, and preprocess them for the network.

    --calibration photographs/                 images in the folder and below it, evenly chosen
    --calibration images.npz                   an array `images`
    --calibration package.module:function      the images that a function returns
    --calibration random                       crops of two photographs and random numbers: only for speed

`images` are uint8 (n, H, W, C) in RGB, pixels 0 to 255, or preprocessed float32 (n, C, H, W). Labels are not
needed. A network that does not take one image is calibrated from an .npz with one array (n, ...) for each
input, under the input's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mocovit_deploy.accuracy.labelled import read_labelled_arrays, require_labels
from mocovit_deploy.accuracy.pictures import NoImageError, files_in, read_pixels, spread
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import DeployError, UsageError, first_line
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.quantization.calibration_set import RANDOM, CalibrationSet, Judging
from mocovit_deploy.spec import CalibrationRequest, InputSpec
from mocovit_deploy.terminal.table import shortened
from mocovit_deploy.user_functions import load_function

FEW_IMAGES = 100
"""With fewer images ranges are uncertain, and a note says so."""


def read_calibration(
    request: CalibrationRequest,
    image: InputSpec | None,
    names: Sequence[str],
    *,
    random: Callable[[int], Sequence[Array]],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> CalibrationSet:
    """The calibration set that the user named.

    `image` is the image that the network takes; None if it does not take one image, and then the source must
    be an .npz with an array for each of the inputs `names`. `random` makes at most so many runs for the
    source `RANDOM`: an array (runs, batch, ...) for each input. `progress` gets the number of images read and
    of all. Raises `UsageError` for a source without images or with images that do not fit, for NaN, and if
    every image is of a single colour.
    """
    source = request.source
    if request.strict and not Path(source).is_dir():
        raise UsageError(f"--strict is for folders of images, and {source} is not one; leave --strict out")
    if source == RANDOM:
        notes = ["calibrated on random images: speed and size are real, predictions are not"]
        return _checked(source, dict(zip(names, random(request.images), strict=True)), notes)
    notes = []
    if source.endswith(".npz") and image is None:
        arrays = read_labelled_arrays(Path(source), names, ())
        return _checked(
            source, {name: _runs(source, name, arrays[name], request.images) for name in names}, ()
        )
    if image is None:
        raise UsageError(
            f"{source}: the network takes {', '.join(names)}, not one image; calibrate it from an .npz with "
            "an array (n, ...) for each"
        )
    wanted = request.images + request.judging_images
    labels: Array | None = None
    if source.endswith(".npz"):
        pictures, labels = _from_npz(Path(source))
    elif Path(source).is_dir():
        pictures, notes = _from_folder(Path(source), image, request, progress)
    elif ":" in source:
        pictures, labels = _from_function(source, image, wanted)
    else:
        why = "not a folder" if Path(source).exists() else "no such folder"
        raise UsageError(f"{source}: {why}, .npz, module:function or the word {RANDOM}")
    tensors = _tensors(source, pictures[: request.images], image)
    if len(tensors) < FEW_IMAGES:
        notes.append(f"only {len(tensors)} calibration images; {FEW_IMAGES} or more give steadier ranges")
    if len(tensors) < image.batch:
        raise UsageError(f"{source}: {len(tensors)} images, but the network takes {image.batch} at a time")
    whole = len(tensors) // image.batch * image.batch
    runs = tensors[:whole].reshape(-1, *image.shape)
    judging = _judging(pictures, labels, request, notes)
    return replace(_checked(source, {names[0]: runs}, notes), judging=judging)


def _judging(
    pictures: Array, labels: Array | None, request: CalibrationRequest, notes: list[str]
) -> Judging | None:
    """The images that candidates are judged on, which follow those that ranges are taken from."""
    if not request.judging_images:
        return None
    first = request.images if len(pictures) > request.images else 0
    if not first:
        notes.append("accuracy is judged on the images that ranges are taken from: there are no others")
    last = first + request.judging_images
    if labels is not None:
        require_labels(request.source, labels)
    known = None if labels is None else labels[first:last].astype(np.int64)
    return Judging(pictures[first:last], known)


def _checked(source: str, inputs: Mapping[str, Array], notes: Sequence[str]) -> CalibrationSet:
    notes = list(notes)
    total = hashlib.sha256()
    for name, array in inputs.items():
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        if len(bad):
            raise UsageError(f"{source}: {name} number {bad[0]} holds NaN or infinity")
        is_image = array.dtype.kind == "f" or array.ndim == 5
        constant = _is_constant(array) if is_image else np.zeros(1, bool)
        if constant.all():
            raise UsageError(f"{source}: every {name} has a single colour; ranges need real images")
        if constant.any():
            notes.append(f"{int(constant.sum())} of {len(array)} calibration images have a single colour")
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return CalibrationSet(source, inputs, total.hexdigest(), tuple(notes))


def _is_constant(array: Array) -> Array:
    """Whether each run holds a single number, or one for each channel of images (runs, batch, C, H, W).

    The result is (runs,).
    """
    area = array.reshape(len(array), -1) if array.ndim < 5 else array.reshape(*array.shape[:3], -1)
    same: Array = (area.max(axis=-1) == area.min(axis=-1)).reshape(len(array), -1).all(axis=1)
    return same


def _runs(source: str, name: str, array: Array, most: int) -> Array:
    if array.ndim < 2 or not len(array):
        held = f"{array.dtype} {list(array.shape)}"
        raise UsageError(f"{source}: {name} is {held}, not (n, ...) with n runs")
    return array[:most]


def _tensors(source: str, pictures: Array, image: InputSpec) -> Array:
    """The images as tensors, (n, C, H, W) in `image.dtype`.

    Raises `UsageError` for arrays that are neither pixels nor tensors of the size of `image`.
    """
    (height, width), channels = image.sides, image.channels
    wanted = (height, width, channels) if pictures.dtype == np.uint8 else (channels, height, width)
    if pictures.ndim == 4 and not len(pictures):
        raise UsageError(f"{source}: holds no images")
    fits = pictures.ndim == 4 and pictures.shape[1:] == wanted
    if pictures.dtype not in (np.uint8, image.dtype) or not fits:
        tensors = f" or float32 (n, {channels}, {height}, {width})" if image.dtype == "float32" else ""
        raise UsageError(
            f"{source}: images are {pictures.dtype} {list(pictures.shape)}, not uint8 "
            f"(n, {height}, {width}, {channels}){tensors}"
        )
    if pictures.dtype == np.float32:
        return pictures
    pixels = np.stack([preprocess(one, image.preprocessing) for one in pictures])
    return pixels.astype(image.dtype, copy=False)


class _Images(NamedTuple):
    """Images, and their labels if there are any."""

    pictures: Array
    labels: Array | None


def _from_npz(path: Path) -> _Images:
    arrays = read_labelled_arrays(path, ("images",), ("labels",))
    if "labels" in arrays and len(arrays["labels"]) != len(arrays["images"]):
        raise UsageError(f"{path}: {len(arrays['images'])} images for {len(arrays['labels'])} labels")
    return _Images(arrays["images"], arrays.get("labels"))


def _from_function(name: str, image: InputSpec, images: int) -> _Images:
    """The result of a function that gets the input that the network takes and the number of images."""
    function = load_function(name)
    try:
        found = function(replace(image, batch=1), images)
    except DeployError:
        raise
    except Exception as error:
        raise UsageError(f"{name}: returns no images: {type(error).__name__}: {first_line(error)}") from error
    pictures = np.asarray(found[0] if isinstance(found, tuple) and found else found)
    if not pictures.ndim:
        raise UsageError(f"{name}: returns {type(found).__name__}, not images or (images, labels)")
    if isinstance(found, tuple) and len(found) > 1 and len(np.asarray(found[1])) != len(pictures):
        raise UsageError(f"{name}: {len(pictures)} images for {len(np.asarray(found[1]))} labels")
    return _Images(pictures, np.asarray(found[1]) if isinstance(found, tuple) and len(found) > 1 else None)


def _from_folder(
    folder: Path, image: InputSpec, request: CalibrationRequest, progress: Callable[[int, int], None]
) -> tuple[Array, list[str]]:
    """Pixels (n, H, W, C) of the images in a folder, and a note about files that were left out."""
    found = files_in(folder)
    pictures: list[Array] = []
    skipped: list[str] = []
    wanted = request.images + request.judging_images
    ordered = spread(found, request.images)
    others = spread(ordered[request.images :], max(request.judging_images, 1))
    for path in (*ordered[: request.images], *others):
        if len(pictures) == wanted:
            break
        try:
            pictures.append(read_pixels(path, image))
        except NoImageError as error:
            if request.strict:
                raise UsageError(f"{path}: {error}; remove the file, or leave out --strict") from None
            skipped.append(f"{path.relative_to(folder)} ({error})")
        progress(len(pictures), min(wanted, len(found)))
    if not pictures:
        raise UsageError(f"{folder}: none of its {len(found)} files is an image; the first: {skipped[0]}")
    return np.stack(pictures), [f"left out of {folder}: {shortened(skipped, 5)}"] if skipped else []
