"""Normalization.

ATen       layer_norm group_norm instance_norm rms_norm, batch_norm that no pass could fold
TFLite     MEAN - SUB - SQUARE - MEAN - ADD eps - RSQRT - MUL, then MUL and ADD of the affine part
XNNPACK    takes all of them in fp32 and fp16

    layer_norm (C)          x laid out as ..., (C): an NHWC image is normalized over channels where it lies
    group_norm (G groups)   x (N, C, H, W) seen as (N, G, C/G H W), normalized over the last
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from exporters.tflite.direct.arithmetic import binary, squared
from exporters.tflite.direct.axes import Value
from exporters.tflite.direct.reduction import reduced
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.writer import Operations, Writer, aten


def normalized(w: Writer, x: Value, dims: Sequence[int], eps: float) -> Value:
    """(x - mean) / sqrt(variance + eps) over dimensions counted from the front."""
    centred = binary(w, "SUB", x, reduced(w, "MEAN", x, dims, keep=True))
    return scaled_to_one(w, centred, dims, eps)


def scaled_to_one(w: Writer, x: Value, dims: Sequence[int], eps: float) -> Value:
    """x / sqrt(mean of squares + eps)"""
    spread = reduced(w, "MEAN", squared(w, x), dims, keep=True)
    return binary(w, "MUL", x, w.unary("RSQRT", binary(w, "ADD", spread, eps)))


def affine(w: Writer, x: Value, weight: Value | None, bias: Value | None) -> Value:
    """x * weight + bias"""
    if weight is not None:
        x = binary(w, "MUL", x, weight)
    return x if bias is None else binary(w, "ADD", x, bias)


def layer_norm(
    w: Writer,
    x: Value,
    shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Value:
    dims = list(range(x.rank - len(shape), x.rank))
    return affine(w, normalized(w, x, dims, eps), weight, bias)


def rms_norm(
    w: Writer, x: Value, shape: Sequence[int], weight: Value | None = None, eps: float | None = None
) -> Value:
    dims = list(range(x.rank - len(shape), x.rank))
    least = float(np.finfo(np.float32).eps) if eps is None else eps
    return affine(w, scaled_to_one(w, x, dims, least), weight, None)


def group_norm(
    w: Writer,
    x: Value,
    groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    *_: Any,
) -> Value:
    n, c, *rest = x.shape
    if groups == 1:
        y = normalized(w, x, list(range(1, x.rank)), eps)
    else:
        split = w.layout.reshape_view(x, [n, groups, c // groups, *rest])
        y = normalized(w, split, list(range(2, split.rank)), eps)
        y = w.layout.reshape_view(y, x.shape)
    return affine(w, y, _of_channels(w, weight, x.rank), _of_channels(w, bias, x.rank))


def instance_norm(
    w: Writer,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    mean: Value | None,
    var: Value | None,
    use_input: bool,
    _momentum: float,
    eps: float,
    *_: Any,
) -> Value:
    if not use_input:
        return batch_norm(w, x, weight, bias, mean, var, False, 0, eps)
    y = normalized(w, x, list(range(2, x.rank)), eps)
    return affine(w, y, _of_channels(w, weight, x.rank), _of_channels(w, bias, x.rank))


def batch_norm(
    w: Writer,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    mean: Value | None,
    var: Value | None,
    training: bool,
    _momentum: float,
    eps: float,
    *_: Any,
) -> Value:
    """x * s + t, with s and t computed here."""
    if training or mean is None or var is None:
        raise UnsupportedError("statistics of the batch itself")
    scale = 1 / np.sqrt(w.array(var).astype(np.float64) + eps)
    scale = scale if weight is None else scale * w.array(weight)
    shift = (0 if bias is None else w.array(bias)) - w.array(mean) * scale
    parts = [w.constant(one.astype(np.float32)) for one in (scale, shift)]
    return affine(w, x, *(_of_channels(w, one, x.rank) for one in parts))


def _of_channels(w: Writer, value: Value | None, rank: int) -> Value | None:
    """A number for each channel, seen so that it broadcasts over (N, C, ...)."""
    return None if value is None else value.seen_as((*value.logical, *[()] * (rank - 2)))


OPERATIONS: Operations = {
    aten.layer_norm.default: layer_norm,
    aten.rms_norm.default: rms_norm,
    aten.group_norm.default: group_norm,
    aten.instance_norm.default: instance_norm,
    aten.batch_norm.default: batch_norm,
}
