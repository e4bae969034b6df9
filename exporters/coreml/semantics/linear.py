"""Products of matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporters.coreml.semantics.activation import softmax
from mocovit_deploy.artifacts.artifact import Array


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """x (*D, Din), weight (Dout, Din), bias (Dout,) -> (*D, Dout)."""
    y = x @ weight.T
    return y if bias is None else y + bias


def matmul(x: Array, y: Array, transpose_x: bool, transpose_y: bool) -> Array:
    """x @ y over the last two axes, with broadcasting over the others; a vector is not transposed."""
    if transpose_x and x.ndim > 1:
        x = np.swapaxes(x, -1, -2)
    if transpose_y and y.ndim > 1:
        y = np.swapaxes(y, -1, -2)
    return np.asarray(x @ y)


def einsum(values: Sequence[Array], equation: str) -> Array:
    return np.asarray(np.einsum(equation, *values, optimize=True))


def scaled_dot_product_attention(
    query: Array, key: Array, value: Array, attn_mask: Array | None = None
) -> Array:
    """softmax(Q K^T / sqrt(d) + mask) V over (*B, tokens, d); a boolean mask keeps what is true."""
    scores = (query @ np.swapaxes(key, -1, -2)) / np.float32(query.shape[-1] ** 0.5)
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else scores + attn_mask
    return softmax(scores, -1) @ value


OPERATIONS = (
    ("einsum", einsum),
    ("linear", linear),
    ("matmul", matmul),
    ("scaled_dot_product_attention", scaled_dot_product_attention),
)
