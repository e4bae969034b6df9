"""Many fp16 values into one: sums and means, softmax, poolings, interpolation.

Sums and means are the exception among XNNPACK's half kernels: they accumulate in float32 and round once
(`f16-f32acc-rsum`, `f16-f32acc-rdsum`). Average pooling accumulates in fp16.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporters.semantics.half.arithmetic import Half, add, fma, multiply, subtract
from exporters.semantics.half.functions import exp_of_non_positive, look_up
from exporters.semantics.half.sums import by_column
from exporters.semantics.spatial import Pads, padded, shifts
from mocovit_deploy.artifacts.artifact import Array


def total(x: Array, axes: tuple[int, ...], scale: float = 1.0) -> Array:
    """The sum of x over `axes`, times `scale`, rounded to fp16 once. Summed axes stay, with size 1.

    Over the last axes the kernel keeps sixteen float32 sums (`f16-f32acc-rsum-u32-acc4`), over others one for
    each value that is left (`f16-f32acc-rdsum-7p7x`).
    """
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    shape = [1 if axis in axes else x.shape[axis] for axis in range(x.ndim)]
    if x.ndim - 1 in axes:
        rows = x.transpose(*kept, *axes).reshape(*(x.shape[axis] for axis in kept), -1).astype(np.float32)
        sums = _sixteen_lanes(rows)
    else:
        rows = x.transpose(*axes, *kept).reshape(-1, *(x.shape[axis] for axis in kept)).astype(np.float32)
        sums = _one_by_one(rows)
    return (sums * np.float32(scale)).astype(Half).reshape(shape)


def softmax(x: Array) -> Array:
    """Softmax over the last axis: exp in fp16, the sum of exps in float32, its reciprocal in fp16."""
    powers = look_up(exp_of_non_positive, subtract(x, np.max(x, axis=-1, keepdims=True)))
    sums = _eight_lanes(powers.astype(np.float32))[..., None]
    return multiply(powers, (np.float32(1) / sums).astype(Half))


def _one_by_one(rows: Array) -> Array:
    """The sum over the first axis, in order, rounded to the type of `rows` after each row."""
    total_ = np.zeros(rows.shape[1:], rows.dtype)
    for row in rows:
        total_ += row
    return total_


def _blocks(x: Array, size: int) -> tuple[Array, Array]:
    """The sums of every `size`-th value of the last axis, in order; and its last values, up to seven.

    The sums cover the largest multiple of eight values.
    """
    whole = x.shape[-1] // 8 * 8
    width = -whole % size
    filled = np.concatenate([x[..., :whole], np.zeros((*x.shape[:-1], width), x.dtype)], -1)
    blocks = np.moveaxis(filled.reshape(*x.shape[:-1], -1, size), -2, 0)
    return _one_by_one(blocks), x[..., whole:]


def _sixteen_lanes(x: Array) -> Array:
    lanes, rest = _blocks(x, 16)
    lanes = lanes[..., :8] + lanes[..., 8:]
    lanes = lanes[..., :4] + lanes[..., 4:]
    if rest.shape[-1] & 4:
        lanes, rest = lanes + rest[..., :4], rest[..., 4:]
    lanes = lanes[..., :2] + lanes[..., 2:]
    if rest.shape[-1] & 2:
        lanes, rest = lanes + rest[..., :2], rest[..., 2:]
    found = lanes[..., 0] + lanes[..., 1]
    return np.asarray(found + rest[..., 0] if rest.shape[-1] else found)


def _eight_lanes(x: Array) -> Array:
    lanes, rest = _blocks(x, 8)
    lanes = lanes[..., :4] + lanes[..., 4:]
    lanes = lanes[..., :2] + lanes[..., 2:]
    for place in range(0, rest.shape[-1] - 1, 2):
        lanes = lanes + rest[..., place : place + 2]
    if rest.shape[-1] & 1:
        lanes[..., 0] += rest[..., -1]
    return np.asarray(lanes[..., 0] + lanes[..., 1])


def average_pool(
    x: Array, kernel: Sequence[int], strides: Sequence[int], pads: Pads, out: tuple[int, ...]
) -> Array:
    """The average pooling of x (N, C, H, W): fp16 sums, nine samples at a time in the order of `_nine`.

    An average counts no padding. Returns (N, C, *out).
    """
    ones = (1,) * len(out)
    seen = by_column(kernel, [view for _, view in shifts(padded(x, pads, 0.0), kernel, strides, ones, out)])
    sums = np.zeros(seen[0].shape, Half)
    for first in range(0, len(seen), 9):
        sums = add(sums, _nine(seen[first : first + 9]))
    inside = padded(np.ones((1, 1, *x.shape[2:]), np.float32), pads, 0.0)
    counts = np.sum([view for _, view in shifts(inside, kernel, strides, ones, out)], axis=0)
    return multiply(sums, (np.float32(1) / counts).astype(Half))


def _nine(seen: Sequence[Array]) -> Array:
    """((x2 + x3) + (x4 + x5)) + (((x0 + x1) + x8) + (x6 + x7)); missing samples are 0."""
    x = [*seen, *([Half(0)] * (9 - len(seen)))]
    middle = add(add(x[2], x[3]), add(x[4], x[5]))
    return add(middle, add(add(add(x[0], x[1]), x[8]), add(x[6], x[7])))


def interpolate(x: Array, rows: Array, columns: Array) -> Array:
    """x (N, C, H, W) interpolated at fractional `rows` and `columns` (`f16-ibilinear`).

    Returns (N, C, rows, columns).
    """
    top = np.floor(rows).astype(np.int64)
    left = np.floor(columns).astype(np.int64)
    bottom = np.minimum(top + 1, x.shape[-2] - 1)
    right = np.minimum(left + 1, x.shape[-1] - 1)
    down = (rows - top).astype(Half)[:, None]
    across = (columns - left).astype(Half)

    def along(row: Array) -> Array:
        first, second = x[..., row[:, None], left], x[..., row[:, None], right]
        return fma(subtract(second, first), across, first)

    upper, lower = along(top), along(bottom)
    return fma(subtract(lower, upper), down, upper)
