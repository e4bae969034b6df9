"""Convolutions over one to three spatial axes, in the precision of their operands.

A depthwise convolution is a sum of shifted inputs. Any other is a product of matrices: the filters times the
input itself for a pointwise kernel, times the input's windows for any other ("im2col").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporters.semantics.spatial import Index, shifts
from mocovit_deploy.artifacts.artifact import Array


def correlate(
    x: Array,
    weight: Array,
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    out: tuple[int, ...],
) -> Array:
    """Padded x (N, Ci, *in), weight (Co, Ci / groups, *kernel) -> (N, Co, *out), without a bias."""
    if groups > 1 and weight.shape[1] == 1:
        return _depthwise(x, weight, strides, dilations, out)
    return _by_matrix(x, weight, strides, dilations, groups, out)


def _depthwise(
    x: Array, weight: Array, strides: Sequence[int], dilations: Sequence[int], out: tuple[int, ...]
) -> Array:
    """Every input channel has `multiplier` filters of its own: weight (Ci * multiplier, 1, *kernel)."""
    multiplier = weight.shape[0] // x.shape[1]
    if multiplier > 1:
        x = np.repeat(x, multiplier, axis=1)
    y = np.zeros((*x.shape[:2], *out), x.dtype)
    product = np.empty_like(y)
    for index, seen in shifts(x, weight.shape[2:], strides, dilations, out):
        tap: Index = (slice(None), 0, *index)
        np.multiply(seen, weight[tap].reshape(-1, *(1 for _ in out)), out=product)
        y += product
    return y


def _by_matrix(
    x: Array,
    weight: Array,
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
    out: tuple[int, ...],
) -> Array:
    """For each group (Co/g, Ci/g * taps) @ (Ci/g * taps, positions)."""
    batch, channels = x.shape[:2]
    kernel = weight.shape[2:]
    columns = x
    if x.shape[2:] != out or any(taps > 1 for taps in kernel):
        columns = np.empty((batch, channels, *kernel, *out), x.dtype)
        for index, seen in shifts(x, kernel, strides, dilations, out):
            tap: Index = (slice(None), slice(None), *index)
            columns[tap] = seen
    filters = weight.reshape(groups, weight.shape[0] // groups, -1)
    y = filters @ columns.reshape(batch, groups, filters.shape[-1], -1)
    return y.reshape(batch, weight.shape[0], *out)
