"""Activations. Each is the formula of coremltools' documentation, written so that a NaN stays a NaN."""

# numpy's stubs give Any for arithmetic between an array and a plain number.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numpy as np

from exporters.semantics.special import erf, sigmoid
from mocovit_deploy.artifacts.artifact import Array


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def clamped_relu(x: Array, alpha: Array, beta: Array) -> Array:
    return np.minimum(np.where(x < 0, alpha * x, x), beta)


def leaky_relu(x: Array, alpha: Array) -> Array:
    return np.where(x < 0, alpha * x, x)


def prelu(x: Array, alpha: Array) -> Array:
    """x (N, C, *space), alpha (C,)."""
    return np.where(x < 0, _by_channel(alpha, x) * x, x)


def thresholded_relu(x: Array, alpha: Array) -> Array:
    """x where x >= alpha, else 0."""
    return np.where(x < alpha, np.float32(0), x)


def elu(x: Array, alpha: Array) -> Array:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


def linear_activation(x: Array, alpha: Array, beta: Array) -> Array:
    return alpha * x + beta


def scaled_tanh(x: Array, alpha: Array, beta: Array) -> Array:
    return alpha * np.tanh(beta * x)


def sigmoid_hard(x: Array, alpha: Array, beta: Array) -> Array:
    return np.clip(alpha * x + beta, 0, 1)


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)), without overflow."""
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def softplus_parametric(x: Array, alpha: Array, beta: Array) -> Array:
    """x (N, C, *space), alpha and beta (C,)."""
    return _by_channel(alpha, x) * softplus(_by_channel(beta, x) * x)


def softsign(x: Array) -> Array:
    return x / (1 + np.abs(x))


def gelu(x: Array, mode: str) -> Array:
    if mode == "EXACT":
        return np.float32(0.5) * x * (1 + erf(x * np.float32(0.5**0.5)))
    if mode == "TANH_APPROXIMATION":
        inner = np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)
        return np.float32(0.5) * x * (1 + np.tanh(inner))
    if mode == "SIGMOID_APPROXIMATION":
        return x * sigmoid(np.float32(1.702) * x)
    raise ValueError(f"mode {mode!r}")


def softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


def _by_channel(parameter: Array, x: Array) -> Array:
    return parameter.reshape(-1, *(1 for _ in x.shape[2:]))


OPERATIONS = (
    ("clamped_relu", clamped_relu),
    ("elu", elu),
    ("gelu", gelu),
    ("leaky_relu", leaky_relu),
    ("linear_activation", linear_activation),
    ("prelu", prelu),
    ("relu", relu),
    ("relu6", relu6),
    ("scaled_tanh", scaled_tanh),
    ("sigmoid", sigmoid),
    ("sigmoid_hard", sigmoid_hard),
    ("silu", silu),
    ("softmax", softmax),
    ("softplus", softplus),
    ("softplus_parametric", softplus_parametric),
    ("softsign", softsign),
    ("thresholded_relu", thresholded_relu),
)
