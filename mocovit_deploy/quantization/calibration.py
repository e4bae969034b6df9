"""Images to calibrate on, preprocessed as the network was trained.

    --calibration photographs/                 every image in the folder and below it, evenly chosen
    --calibration images.npz                   an array `images`
    --calibration package.module:function      what a function returns
    --calibration random                       crops of two photographs and random numbers: for speed alone

`images` are uint8 (n, H, W, C) in RGB, pixels 0 to 255, or float32 (n, C, H, W), taken as they are; labels
beside them are not needed. A network that takes something else than one image is calibrated from an .npz with
one array (n, ...) for each input, under its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mocovit_deploy.accuracy.labelled import read_labelled_arrays, require_labels
from mocovit_deploy.accuracy.pictures import NoImageError, files_in, read_pixels, spread
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import DeployError, UsageError, first_line
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.quantization.calibration_set import RANDOM, CalibrationSet, Judging
from mocovit_deploy.spec import CalibrationRequest, InputSpec
from mocovit_deploy.user_functions import load_function

FEW_IMAGES = 100
"""Below this many images ranges are uncertain, and a note says so."""


def read_calibration(
    request: CalibrationRequest,
    image: InputSpec | None,
    names: Sequence[str],
    *,
    random: Callable[[int], Sequence[Array]],
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> CalibrationSet:
    """The calibration set that the user named.

    `image` is what the network takes; None if that is not one image, and then only an .npz with an array for
    each of the inputs `names` will do. For `RANDOM`, `random` makes at most so many runs: an array
    (runs, batch, ...) for each input.
    Raises `UsageError` for a folder, a file or a function that gives no images, or not such as fit; for NaN;
    for images that are all the same colour.
    """
    source = request.source
    if request.strict and not Path(source).is_dir():
        raise UsageError(f"--strict is of folders of images, and {source} is none; leave it out")
    if source == RANDOM:
        notes = ["calibrated on made-up images: speed and size are real, predictions are not"]
        return _checked(source, dict(zip(names, random(request.images), strict=True)), notes)
    notes = []
    if source.endswith(".npz") and image is None:
        arrays = read_labelled_arrays(Path(source), names, ())
        return _checked(
            source, {name: _runs(source, name, arrays[name], request.images) for name in names}, ()
        )
    if image is None:
        raise UsageError(
            f"{source}: this network takes {', '.join(names)}; calibrate it from an .npz with an "
            "array (n, ...) for each"
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
        raise UsageError(f"{source}: {why}, nor an .npz, module:function or the word {RANDOM}")
    tensors = _tensors(source, pictures[: request.images], image)
    if len(tensors) < FEW_IMAGES:
        notes.append(f"only {len(tensors)} calibration images; {FEW_IMAGES} or more give steadier ranges")
    if len(tensors) < image.batch:
        raise UsageError(f"{source}: {len(tensors)} images, and the network takes {image.batch} at a time")
    whole = len(tensors) // image.batch * image.batch
    runs = tensors[:whole].reshape(-1, *image.shape)
    judging = _judging(pictures, labels, request, notes)
    return replace(_checked(source, {names[0]: runs}, notes), judging=judging)


def _judging(
    pictures: Array, labels: Array | None, request: CalibrationRequest, notes: list[str]
) -> Judging | None:
    """The images that candidates are judged by: those after the ones that ranges are taken from."""
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
            raise UsageError(f"{source}: every {name} is one colour; nothing can be learned from them")
        if constant.any():
            notes.append(f"{int(constant.sum())} of {len(array)} calibration images are one colour")
        total.update(f"{name} {array.dtype} {array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return CalibrationSet(source, inputs, total.hexdigest(), tuple(notes))


def _is_constant(array: Array) -> Array:
    """Which runs hold a single number, or, of images (runs, batch, C, H, W), one for each channel;
    (runs,).
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
    """(n, C, H, W) in `image.dtype`.

    Raises `UsageError` for arrays that are neither pixels nor tensors of the size.
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


def _from_npz(path: Path) -> tuple[Array, Array | None]:
    """Images, and labels if there are any."""
    arrays = read_labelled_arrays(path, ("images",), ("labels",))
    if "labels" in arrays and len(arrays["labels"]) != len(arrays["images"]):
        raise UsageError(f"{path}: {len(arrays['images'])} images for {len(arrays['labels'])} labels")
    return arrays["images"], arrays.get("labels")


def _from_function(name: str, image: InputSpec, images: int) -> tuple[Array, Array | None]:
    """Images of a function that is told what the network takes and how many are wanted, and labels if it
    gives them.
    """
    function = load_function(name)
    try:
        found = function(replace(image, batch=1), images)
    except DeployError:
        raise
    except Exception as error:
        raise UsageError(f"{name}: gives no images: {type(error).__name__}: {first_line(error)}") from error
    pictures = np.asarray(found[0] if isinstance(found, tuple) and found else found)
    if not pictures.ndim:
        raise UsageError(f"{name}: returns {type(found).__name__}, not images or (images, labels)")
    if isinstance(found, tuple) and len(found) > 1 and len(np.asarray(found[1])) != len(pictures):
        raise UsageError(f"{name}: {len(pictures)} images for {len(np.asarray(found[1]))} labels")
    return pictures, np.asarray(found[1]) if isinstance(found, tuple) and len(found) > 1 else None


def _from_folder(
    folder: Path, image: InputSpec, request: CalibrationRequest, progress: Callable[[int, int], None]
) -> tuple[Array, list[str]]:
    """Pixels (n, H, W, C) of the images in a folder, and what was left out."""
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
                raise UsageError(f"{path}: {error}; leave it out, or leave out --strict") from None
            skipped.append(f"{path.relative_to(folder)} ({error})")
        progress(len(pictures), min(wanted, len(found)))
    if not pictures:
        raise UsageError(f"{folder}: none of its {len(found)} files is an image; the first: {skipped[0]}")
    named = ", ".join(skipped[:5]) + (f" and {len(skipped) - 5} more" if len(skipped) > 5 else "")
    return np.stack(pictures), [f"left out of {folder}: {named}"] if skipped else []
