"""Pooling over one to three spatial axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exporters.semantics.spatial import Pads, padded, places_of_ceil_mode, resolve_pads, shifts, window_places
from mocovit_deploy.artifacts.artifact import Array


def max_pool(
    x: Array,
    kernel_sizes: Sequence[int],
    strides: Sequence[int],
    pad_type: str,
    pad: Sequence[int],
    ceil_mode: bool,
) -> Array:
    """The largest sample under the window; padding never wins."""
    pads, out = _geometry(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return _reduce(np.maximum, padded(x, pads, -np.inf), kernel_sizes, strides, out)


def avg_pool(
    x: Array,
    kernel_sizes: Sequence[int],
    strides: Sequence[int],
    pad_type: str,
    pad: Sequence[int],
    ceil_mode: bool,
    exclude_padding_from_average: bool,
) -> Array:
    """The sum under the window, divided by its number of samples, with or without those of the padding.

    As in PyTorch, no average counts samples beyond the padding, which `ceil_mode` adds.
    """
    declared = resolve_pads(pad_type, pad, x.shape[2:], kernel_sizes, strides)
    pads, out = _geometry(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    total = _reduce(np.add, padded(x, pads, 0.0), kernel_sizes, strides, out)
    counted = np.ones((1, 1, *x.shape[2:]), x.dtype)
    if not exclude_padding_from_average:
        counted = padded(counted, declared, 1.0)
        pads = tuple((0, after - known) for (_, after), (_, known) in zip(pads, declared, strict=True))
    return total / _reduce(np.add, padded(counted, pads, 0.0), kernel_sizes, strides, out)


def l2_pool(
    x: Array,
    kernel_sizes: Sequence[int],
    strides: Sequence[int],
    pad_type: str,
    pad: Sequence[int],
    ceil_mode: bool,
) -> Array:
    """The root of the sum of squares under the window."""
    pads, out = _geometry(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return np.sqrt(_reduce(np.add, padded(x * x, pads, 0.0), kernel_sizes, strides, out))


def _geometry(
    x: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    pad_type: str,
    pad: Sequence[int],
    ceil_mode: bool,
) -> tuple[Pads, tuple[int, ...]]:
    """The padding, and the number of window positions along each axis."""
    space = x.shape[2:]
    pads = resolve_pads(pad_type, pad, space, kernel, strides)
    if not ceil_mode:
        return pads, window_places(space, pads, kernel, strides)
    return places_of_ceil_mode(space, pads, kernel, strides)


def _reduce(
    combine: Callable[..., Any], x: Array, kernel: Sequence[int], strides: Sequence[int], out: tuple[int, ...]
) -> Array:
    ones = tuple(1 for _ in out)
    views = (seen for _, seen in shifts(x, tuple(int(k) for k in kernel), strides, ones, out))
    result = next(views).copy()
    for seen in views:
        combine(result, seen, out=result)
    return result


OPERATIONS = (("avg_pool", avg_pool), ("l2_pool", l2_pool), ("max_pool", max_pool))
