"""Attention.

ATen       scaled_dot_product_attention, with or without a constant mask
TFLite     MUL of the query - BATCH_MATMUL - ADD of the mask - SOFTMAX - BATCH_MATMUL
XNNPACK    takes all of them in fp32 and fp16; SOFTMAX not in int8

    q (..., L, E), k (..., S, E), v (..., S, V)     softmax(q k' scale + mask) v     (..., L, V)
"""

from __future__ import annotations

import numpy as np

from exporters.tflite.direct.activation import softmax
from exporters.tflite.direct.arithmetic import binary
from exporters.tflite.direct.axes import Value
from exporters.tflite.direct.elementwise import HUGE, HUGE_IN_HALF
from exporters.tflite.direct.linear import batch_matmul
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.writer import Operations, Writer, aten


def attention(
    w: Writer,
    q: Value,
    k: Value,
    v: Value,
    mask: Value | None = None,
    dropout: float = 0,
    causal: bool = False,
    scale: float | None = None,
    grouped: bool = False,
) -> Value:
    """softmax(scale q k^T + mask) v; q (..., L, E), k (..., S, E), v (..., S, Ev) -> (..., L, Ev)."""
    if grouped and q.shape[-3] != k.shape[-3]:
        raise UnsupportedError("several queries to one key (enable_gqa)")
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    q = q if factor == 1 else binary(w, "MUL", q, factor)
    scores = batch_matmul(w, q, k.seen_as((*k.logical[:-2], k.logical[-1], k.logical[-2])))
    if causal:
        mask = w.constant(np.tril(np.ones((q.shape[-2], k.shape[-2]), np.bool_)))
    if mask is not None:
        scores = binary(w, "ADD", scores, _added(w, mask))
    return batch_matmul(w, softmax(w, scores, -1), v)


def _added(w: Writer, mask: Value) -> Value:
    """The mask as numbers to add to the scores; finite, because infinity minus infinity is NaN."""
    if mask.dtype == np.bool_:
        allowed = w.array(mask, "a boolean mask")
        numbers = np.where(allowed, np.float32(0), np.float32(-np.inf))
    elif mask.array is None:
        return mask
    else:
        numbers = w.array(mask)
    lowest = -(HUGE_IN_HALF if w.half else HUGE)
    return w.constant(np.maximum(numbers, np.float32(lowest)).astype(np.float32))


OPERATIONS: Operations = {aten.scaled_dot_product_attention.default: attention}
