"""Pooling over rows and columns of (N, H, W, C), and reductions over windows of any axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exporters.semantics.half import arithmetic as half
from exporters.semantics.half import reductions
from exporters.semantics.half.arithmetic import Half
from exporters.semantics.spatial import Pads, padded, resolve_pads, shifts, window_places
from exporters.tflite.reference.dense import PADDING
from exporters.tflite.reference.elementwise import activated
from exporters.tflite.reference.program import Step
from mocovit_deploy.artifacts.artifact import Array


def _geometry(step: Step, x: Array) -> tuple[Array, tuple[int, int], tuple[int, int], Pads, tuple[int, ...]]:
    options = step.options
    images = np.moveaxis(x, -1, 1)
    kernel, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
    pads = resolve_pads(PADDING[options.padding], (), images.shape[2:], kernel, strides)
    return images, kernel, strides, pads, window_places(images.shape[2:], pads, kernel, strides)


def average_pool_2d(step: Step, x: Array) -> Array:
    """x (N, H, W, C) -> (N, *out, C); averages do not count padding."""
    images, kernel, strides, pads, out = _geometry(step, x)
    if x.dtype == Half:
        y = reductions.average_pool(images, kernel, strides, pads, out)
    else:
        inside = padded(np.ones((1, 1, *images.shape[2:]), x.dtype), pads, 0.0)
        totals, counts = (
            sum(view for _, view in shifts(one, kernel, strides, (1, 1), out))
            for one in (padded(images, pads, 0.0), inside)
        )
        y = np.asarray(totals / counts)
    return activated(np.moveaxis(y, 1, -1), step.options)


def max_pool_2d(step: Step, x: Array) -> Array:
    """x (N, H, W, C) -> (N, *out, C); padding never wins."""
    images, kernel, strides, pads, out = _geometry(step, x)
    larger = half.larger if x.dtype == Half else np.maximum
    views = [view for _, view in shifts(padded(images, pads, -np.inf), kernel, strides, (1, 1), out)]
    y = views[0]
    for view in views[1:]:
        y = larger(y, view)
    return activated(np.moveaxis(np.asarray(y), 1, -1), step.options)


_COMBINED = {
    "ADD": np.add,
    "STABLEHLO_ADD": np.add,
    "MAXIMUM": np.maximum,
    "STABLEHLO_MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
    "STABLEHLO_MINIMUM": np.minimum,
}


def reduce_window(step: Step, x: Array, initial: Array) -> Array:
    """StableHLO's reduction over windows, by the one operator of its body; not computed by XNNPACK."""
    if len(step.body) != 1 or step.body[0] not in _COMBINED:
        raise ValueError(f"a body of other than one known operator: {', '.join(step.body) or 'empty'}")
    options, combine = step.options, _COMBINED[step.body[0]]
    rank = x.ndim

    def each(values: Any, default: int) -> tuple[int, ...]:
        return tuple(map(int, values)) if values is not None and len(values) else (default,) * rank

    window, strides = each(options.windowDimensions, 1), each(options.windowStrides, 1)
    dilations = each(options.windowDilations, 1)
    if set(each(options.baseDilations, 1)) != {1}:
        raise ValueError("dilated operands")
    pads = (
        np.zeros((rank, 2), np.int64) if options.padding is None else np.reshape(options.padding, (rank, 2))
    )
    wide = np.pad(x, [(int(a), int(b)) for a, b in pads], constant_values=np.ravel(initial)[0])
    y = np.full(step.shape, np.ravel(initial)[0], x.dtype)
    for _, view in shifts(wide, window, strides, dilations, step.shape):
        y = combine(y, view)
    return y


OPERATIONS: tuple[tuple[str, Callable[..., Array]], ...] = (
    ("AVERAGE_POOL_2D", average_pool_2d),
    ("MAX_POOL_2D", max_pool_2d),
    ("STABLEHLO_REDUCE_WINDOW", reduce_window),
)
