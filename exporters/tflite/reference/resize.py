"""Resizing rows and columns of (N, H, W, C)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from exporters.semantics.half import reductions
from exporters.semantics.half.arithmetic import Half
from exporters.tflite.reference.program import Step
from mocovit_deploy.artifacts.artifact import Array


def resize_bilinear(step: Step, x: Array, _size: Array) -> Array:
    rows, columns = (_places(step, x.shape[axis], step.shape[axis]) for axis in (1, 2))
    images = np.moveaxis(x, -1, 1)
    if x.dtype == Half:
        return np.moveaxis(reductions.interpolate(images, rows, columns), 1, -1)
    for points, axis in ((rows, -2), (columns, -1)):
        low = np.floor(points).astype(np.int64)
        high = np.minimum(low + 1, images.shape[axis] - 1)
        weight = (points - low).astype(x.dtype).reshape((-1, 1) if axis == -2 else (-1,))
        first = np.take(images, low, axis)
        images = first + (np.take(images, high, axis) - first) * weight
    return np.moveaxis(images, 1, -1)


def _places(step: Step, size: int, out: int) -> Array:
    """The positions of `out` samples among `size` samples, in float32 as the runtime computes them."""
    options, steps = step.options, np.arange(out, dtype=np.float32)
    if options.alignCorners:
        points = steps * np.float32((size - 1) / max(1, out - 1))
    else:
        scale = np.float32(size / out)
        points = (steps + 0.5) * scale - 0.5 if options.halfPixelCenters else steps * scale
    return np.asarray(np.clip(points, 0, size - 1))


def resize_nearest_neighbor(step: Step, x: Array, _size: Array) -> Array:
    """The sample below each position, or the nearest if corners are aligned; not computed by XNNPACK."""
    options = step.options
    taken = []
    for axis in (1, 2):
        size, out = x.shape[axis], step.shape[axis]
        aligned = options.alignCorners and out > 1
        scale = np.float32((size - 1) / (out - 1)) if aligned else np.float32(size / out)
        points = (np.arange(out, dtype=np.float32) + (0.5 if options.halfPixelCenters else 0.0)) * scale
        index = np.floor(points + 0.5) if aligned else np.floor(points)
        taken.append(np.clip(index, 0, size - 1).astype(np.int64))
    return x[:, taken[0][:, None], taken[1]]


OPERATIONS: tuple[tuple[str, Callable[..., Array]], ...] = (
    ("RESIZE_BILINEAR", resize_bilinear),
    ("RESIZE_NEAREST_NEIGHBOR", resize_nearest_neighbor),
)
