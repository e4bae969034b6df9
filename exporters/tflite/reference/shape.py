"""Moving values without computing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exporters.tflite.reference.elementwise import activated
from exporters.tflite.reference.program import Step
from mocovit_deploy.artifacts.artifact import Array

_REFLECT = 0
"""`MirrorPadMode.REFLECT` of the schema; the other one is SYMMETRIC."""


def reshape(step: Step, x: Array, *_shape: Array) -> Array:
    return x.reshape(step.shape)


def transpose(_step: Step, x: Array, axes: Array) -> Array:
    return np.transpose(x, [int(axis) for axis in axes])


def concatenation(step: Step, *x: Array) -> Array:
    return activated(np.concatenate(x, step.options.axis), step.options)


def split(step: Step, axis: Array, x: Array) -> Sequence[Array]:
    return np.split(x, step.options.numSplits, int(np.ravel(axis)[0]))


def split_v(_step: Step, x: Array, sizes: Array, axis: Array) -> Sequence[Array]:
    return np.split(x, np.cumsum(sizes)[:-1], int(np.ravel(axis)[0]))


def slice_(step: Step, x: Array, begin: Array, _size: Array) -> Array:
    return x[tuple(slice(int(first), int(first) + n) for first, n in zip(begin, step.shape, strict=True))]


def strided_slice(step: Step, x: Array, begin: Array, end: Array, strides: Array) -> Array:
    """x[begin:end:stride]; a bit of `beginMask` or `endMask` leaves that bound open.

    A bit of `shrinkAxisMask` takes the sample at `begin` and drops the axis.
    """
    options = step.options
    if options.ellipsisMask or options.newAxisMask or getattr(options, "offset", False):
        raise ValueError("an ellipsis, a new axis, or an end given as an offset, has no semantics here")
    index: list[Any] = []
    for axis, (first, last, stride) in enumerate(zip(begin, end, strides, strict=True)):
        if options.shrinkAxisMask >> axis & 1:
            index.append(int(first))
            continue
        index.append(
            slice(
                None if options.beginMask >> axis & 1 else int(first),
                None if options.endMask >> axis & 1 else int(last),
                int(stride),
            )
        )
    return np.asarray(x[tuple(index)]).reshape(step.shape)


def pad(_step: Step, x: Array, widths: Array, value: Array | None = None) -> Array:
    filled = 0 if value is None else np.ravel(value)[0]
    return np.pad(x, [(int(a), int(b)) for a, b in widths], constant_values=filled)


def mirror_pad(step: Step, x: Array, widths: Array) -> Array:
    mode = "reflect" if step.options.mode == _REFLECT else "symmetric"
    return np.pad(x, [(int(a), int(b)) for a, b in widths], mode)  # type: ignore[call-overload,no-any-return]


def gather(step: Step, x: Array, indices: Array) -> Array:
    if step.options.batchDims:
        raise ValueError("batch dimensions have no semantics here")
    return np.take(x, indices, step.options.axis)


def pack(step: Step, *x: Array) -> Array:
    return np.stack(x, step.options.axis)


def unpack(step: Step, x: Array) -> Sequence[Array]:
    return list(np.moveaxis(x, step.options.axis, 0))


def depth_to_space(step: Step, x: Array) -> Array:
    """(N, H, W, b b C) -> (N, H b, W b, C), the channel index being (i, j, c)."""
    n, h, w, _ = x.shape
    b = step.options.blockSize
    return x.reshape(n, h, w, b, b, -1).transpose(0, 1, 3, 2, 4, 5).reshape(step.shape)


def space_to_depth(step: Step, x: Array) -> Array:
    """(N, H b, W b, C) -> (N, H, W, b b C), the inverse of `depth_to_space`."""
    n, h, w, c = x.shape
    b = step.options.blockSize
    return x.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5).reshape(step.shape)


def tile(_step: Step, x: Array, repeats: Array) -> Array:
    return np.tile(x, [int(n) for n in repeats])


def broadcast_to(step: Step, x: Array, _shape: Array) -> Array:
    return np.broadcast_to(x, step.shape)


OPERATIONS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("BROADCAST_TO", broadcast_to),
    ("CONCATENATION", concatenation),
    ("DEPTH_TO_SPACE", depth_to_space),
    ("EXPAND_DIMS", reshape),
    ("GATHER", gather),
    ("MIRROR_PAD", mirror_pad),
    ("PACK", pack),
    ("PAD", pad),
    ("PADV2", pad),
    ("RESHAPE", reshape),
    ("SLICE", slice_),
    ("SPACE_TO_DEPTH", space_to_depth),
    ("SPLIT", split),
    ("SPLIT_V", split_v),
    ("SQUEEZE", reshape),
    ("STRIDED_SLICE", strided_slice),
    ("TILE", tile),
    ("TRANSPOSE", transpose),
    ("UNPACK", unpack),
)
