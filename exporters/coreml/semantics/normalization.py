"""Normalizations, in the order of their formulas: subtract, divide, scale, offset."""

# numpy's stubs give Any for arithmetic between an array and a plain number.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mocovit_deploy.artifacts.artifact import Array


def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    epsilon: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
) -> Array:
    """x (N, C, *space), all parameters (C,)."""
    channel = (-1, *(1 for _ in x.shape[2:]))
    scale = 1 / np.sqrt(variance + epsilon)
    if gamma is not None:
        scale = gamma * scale
    y = (x - mean.reshape(channel)) * scale.reshape(channel)
    return y if beta is None else y + beta.reshape(channel)


def layer_norm(
    x: Array,
    epsilon: Array,
    axes: Sequence[int] | None = None,
    gamma: Array | None = None,
    beta: Array | None = None,
) -> Array:
    """Over `axes` (all if None); gamma and beta have the shape of x along them."""
    over = tuple(sorted(int(axis) % x.ndim for axis in (range(x.ndim) if axes is None else axes)))
    shape = tuple(n if axis in over else 1 for axis, n in enumerate(x.shape))
    return _affine(_normalized(x, over, epsilon), gamma, beta, shape)


def instance_norm(x: Array, epsilon: Array, gamma: Array | None = None, beta: Array | None = None) -> Array:
    """x (N, C, *space), every channel of every sample by itself; gamma and beta (C,)."""
    space = tuple(range(2, x.ndim))
    return _affine(_normalized(x, space, epsilon), gamma, beta, (-1, *(1 for _ in space)))


def l2_norm(x: Array, epsilon: Array) -> Array:
    """Over the last three axes: x / sqrt(sum of squares + epsilon)."""
    squares = np.sum(np.square(x), axis=(-3, -2, -1), keepdims=True)
    return x / np.sqrt(squares + epsilon)


def _normalized(x: Array, axes: tuple[int, ...], epsilon: Array) -> Array:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    variance = np.mean(np.square(centred), axis=axes, keepdims=True)
    return centred / np.sqrt(variance + epsilon)


def _affine(y: Array, gamma: Array | None, beta: Array | None, shape: tuple[int, ...]) -> Array:
    if gamma is not None:
        y = y * gamma.reshape(shape)
    return y if beta is None else y + beta.reshape(shape)


OPERATIONS = (
    ("batch_norm", batch_norm),
    ("instance_norm", instance_norm),
    ("l2_norm", l2_norm),
    ("layer_norm", layer_norm),
)
