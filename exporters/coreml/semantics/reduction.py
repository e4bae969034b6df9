"""Reductions over axes (all of them where `axes` is absent), and running sums."""

# numpy's stubs give Any for arithmetic between an array and a plain number.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.artifact import Array


def _over_axes(reduce: Callable[..., Any]) -> Callable[..., Array]:
    """`reduce(x, axis=..., keepdims=...)` under the names of MIL's parameters."""

    def apply(x: Array, keep_dims: bool, axes: Sequence[int] | None = None) -> Array:
        axis = None if axes is None else tuple(int(each) for each in axes)
        return np.asarray(reduce(x, axis=axis, keepdims=keep_dims))

    return apply


def _argument(find: Callable[..., Any]) -> Callable[..., Array]:
    def apply(x: Array, axis: int, keep_dims: bool, output_dtype: str = "int32") -> Array:
        return np.asarray(find(x, axis=axis, keepdims=keep_dims))

    return apply


def _l1_norm(x: Array, **over: Any) -> Array:
    return np.asarray(np.sum(np.abs(x), **over))


def _l2_norm(x: Array, **over: Any) -> Array:
    return np.asarray(np.sqrt(np.sum(np.square(x), **over)))


def _log_sum(x: Array, **over: Any) -> Array:
    return np.asarray(np.log(np.sum(x, **over)))


def _log_sum_exp(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Array:
    """Shifted by the maximum, so that exp cannot overflow."""
    top = np.max(x, axis=axis, keepdims=True)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis)


def cumsum(x: Array, axis: int, exclusive: bool, reverse: bool) -> Array:
    """Running sums; `exclusive` leaves out the sample itself, `reverse` runs from the end."""
    along = np.flip(x, axis) if reverse else x
    sums = np.cumsum(along, axis)
    if exclusive:
        first = [(0, 0)] * x.ndim
        first[axis] = (1, 0)
        sums = np.take(np.pad(sums, first), range(x.shape[axis]), axis)
    return np.flip(sums, axis) if reverse else sums


def _sum_square(x: Array, **over: Any) -> Array:
    return np.asarray(np.sum(np.square(x), **over))


OPERATIONS: tuple[tuple[str, Callable[..., Array]], ...] = (
    ("cumsum", cumsum),
    ("reduce_argmax", _argument(np.argmax)),
    ("reduce_argmin", _argument(np.argmin)),
    ("reduce_l1_norm", _over_axes(_l1_norm)),
    ("reduce_l2_norm", _over_axes(_l2_norm)),
    ("reduce_log_sum", _over_axes(_log_sum)),
    ("reduce_log_sum_exp", _over_axes(_log_sum_exp)),
    ("reduce_max", _over_axes(np.max)),
    ("reduce_mean", _over_axes(np.mean)),
    ("reduce_min", _over_axes(np.min)),
    ("reduce_prod", _over_axes(np.prod)),
    ("reduce_sum", _over_axes(np.sum)),
    ("reduce_sum_square", _over_axes(_sum_square)),
)
