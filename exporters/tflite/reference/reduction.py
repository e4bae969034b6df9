"""Sums, means and extremes over axes, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exporters.semantics.half import reductions
from exporters.semantics.half.arithmetic import Half
from exporters.tflite.reference.program import Step
from mocovit_deploy.artifacts.artifact import Array


def _axes(axes: Array, rank: int) -> tuple[int, ...]:
    return tuple(int(axis) % rank for axis in np.atleast_1d(axes))


def mean(step: Step, x: Array, axes: Array) -> Array:
    over = _axes(axes, x.ndim)
    if x.dtype == Half:
        count = np.prod([x.shape[axis] for axis in over])
        return reductions.total(x, over, 1 / count).reshape(step.shape)
    return np.asarray(np.mean(x, axis=over)).reshape(step.shape)


def sum_(step: Step, x: Array, axes: Array) -> Array:
    over = _axes(axes, x.ndim)
    y = reductions.total(x, over) if x.dtype == Half else np.sum(x, axis=over)
    return y.reshape(step.shape)


def _extreme(reduce: Callable[..., Any]) -> Callable[..., Array]:
    def apply(step: Step, x: Array, axes: Array) -> Array:
        return np.asarray(reduce(x, axis=_axes(axes, x.ndim))).reshape(step.shape)

    return apply


def softmax(step: Step, x: Array) -> Array:
    if x.dtype == Half:
        return reductions.softmax(x)
    powers = np.exp((x - np.max(x, axis=-1, keepdims=True)) * np.float32(step.options.beta))
    return np.asarray(powers / np.sum(powers, axis=-1, keepdims=True))


def cumsum(step: Step, x: Array, axis: Array) -> Array:
    """Running sums in float32; not computed by XNNPACK."""
    if step.options.exclusive or step.options.reverse:
        raise ValueError("exclusive or reverse running sums")
    return np.cumsum(x, int(axis))


OPERATIONS: tuple[tuple[str, Callable[..., Array]], ...] = (
    ("CUMSUM", cumsum),
    ("MEAN", mean),
    ("REDUCE_MAX", _extreme(np.max)),
    ("REDUCE_MIN", _extreme(np.min)),
    ("SOFTMAX", softmax),
    ("SUM", sum_),
)
