"""The inputs that every file is checked on: crops of two photographs at several scales, and random
numbers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import MissingToolError
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.spec import InputSpec, Preprocessing

FloatArray = npt.NDArray[np.float32]

# photograph   left  top   side      of the crop, as fractions of the photograph's height
CROPS = (
    ("china", 0.25, 0.0, 1.0),
    ("china", 0.0, 0.3, 0.5),
    ("china", 0.3, 0.55, 0.35),
    ("flower", 0.25, 0.0, 1.0),
    ("flower", 0.5, 0.25, 0.5),
    ("flower", 0.0, 0.4, 0.35),
)
RANDOM_SAMPLES = 2


def samples(spec: InputSpec, seed: int) -> tuple[tuple[str, ...], Array]:
    """Names and inputs, (samples, batch, C, H, W) in `spec.dtype`, preprocessed; batches hold shifted copies.

    Networks whose input does not have one or three channels get only random samples, named so.
    """
    generator = np.random.default_rng(seed)
    noise = _noise(spec, generator, (RANDOM_SAMPLES, *spec.shape))
    names = tuple(f"random {i}" for i in range(RANDOM_SAMPLES))
    if spec.channels not in (1, 3):
        return names, noise
    pictures = np.stack([_batch(crop, spec) for crop in CROPS])
    titles = tuple(f"{name} {side:.0%} at {left:.2f},{top:.2f}" for name, left, top, side in CROPS)
    return titles + names, np.concatenate([pictures.astype(spec.dtype, copy=False), noise])


def random_crops(spec: InputSpec, seed: int, count: int) -> Array:
    """Random crops of the photographs, (count, batch, C, H, W) in `spec.dtype`, preprocessed.

    Every fourth holds random numbers; all do if the input does not have one or three channels.
    """
    generator = np.random.default_rng(seed)
    runs: list[Array] = []
    for run in range(count):
        if spec.channels not in (1, 3) or run % 4 == 3:
            runs.append(_noise(spec, generator, spec.shape))
        else:
            side = generator.uniform(0.2, 0.9)
            left, top = generator.uniform(0, 1.3 - side), generator.uniform(0, 1 - side)
            runs.append(_batch((("china", "flower")[run % 2], left, top, side), spec))
    return np.stack(runs).astype(spec.dtype, copy=False)


def _noise(spec: InputSpec, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
    if spec.dtype == "uint8":
        return generator.integers(0, 256, shape, dtype=np.uint8)
    return generator.standard_normal(shape, dtype=np.float32)


def _batch(crop: tuple[str, float, float, float], spec: InputSpec) -> FloatArray:
    one = preprocess(_pixels(crop, spec), spec.preprocessing)
    return np.stack([np.roll(one, 7 * i, axis=-1) for i in range(spec.batch)])


def preprocess(pixels: npt.NDArray[np.uint8], how: Preprocessing) -> FloatArray:
    """uint8 (H, W, C) RGB or grey -> float32 (C, H, W) as the network was trained on."""
    ordered = pixels[..., ::-1] if how.colour_order == "BGR" else pixels
    channels = pixels.shape[-1]
    mean, std = (np.array(v[:channels], np.float64) for v in (how.mean, how.std))
    normalised = (ordered.astype(np.float64) * how.scale - mean) / std
    return np.ascontiguousarray(normalised.transpose(2, 0, 1), dtype=np.float32)


def _pixels(crop: tuple[str, float, float, float], spec: InputSpec) -> npt.NDArray[np.uint8]:
    """One crop of a photograph, (H, W, C): the largest part of its square with the image's proportions."""
    image_module = needs_extra("PIL.Image", "export")
    name, left, top, side = crop
    with image_module.open(_photograph(name)) as opened:
        photograph = opened.convert("RGB" if spec.channels == 3 else "L")
    unit, (height, width) = photograph.height, spec.sides
    high, wide = (side * one / max(height, width) for one in (height, width))
    box = (left * unit, top * unit, (left + wide) * unit, (top + high) * unit)
    scaled = photograph.resize((width, height), box=box)
    return np.asarray(scaled, np.uint8).reshape(height, width, spec.channels)


def _photograph(name: str) -> Path:
    """A photograph that scikit-learn ships, found without importing scikit-learn (which takes a second)."""
    found = importlib.util.find_spec("sklearn")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder, "datasets", "images", f"{name}.jpg")
        if path.is_file():
            return path
    raise MissingToolError(
        f"scikit-learn, which ships the photograph {name}.jpg, is not installed; in a checkout of "
        "mocovit-deploy, run: pip install '.[export]'"
    )
