"""Element by element, with numpy's broadcasting (MIL's is the same)."""

# numpy's stubs give Any for arithmetic between an array and a plain number.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exporters.semantics.special import erf
from mocovit_deploy.artifacts.artifact import Array


def _unary(function: Callable[..., Any]) -> Callable[[Array], Array]:
    def apply(x: Array) -> Array:
        return np.asarray(function(x))

    return apply


def _binary(function: Callable[..., Any]) -> Callable[[Array, Array], Array]:
    def apply(x: Array, y: Array) -> Array:
        return np.asarray(function(x, y))

    return apply


def cast(x: Array, dtype: str) -> Array:
    """x itself: `execute` keeps every result in the type that the file declares."""
    return x


def clip(x: Array, alpha: Array, beta: Array) -> Array:
    return np.minimum(np.maximum(x, alpha), beta)


def threshold(x: Array, alpha: Array) -> Array:
    return np.maximum(x, alpha)


def inverse(x: Array, epsilon: Array) -> Array:
    return 1 / (x + epsilon)


def log(x: Array, epsilon: Array) -> Array:
    return np.log(x + epsilon)


def rsqrt(x: Array, epsilon: Array) -> Array:
    return 1 / np.sqrt(x + epsilon)


def select(cond: Array, a: Array, b: Array) -> Array:
    return np.where(cond, a, b)


OPERATIONS: tuple[tuple[str, Callable[..., Array]], ...] = (
    ("abs", _unary(np.abs)),
    ("acos", _unary(np.arccos)),
    ("add", _binary(np.add)),
    ("asin", _unary(np.arcsin)),
    ("atan", _unary(np.arctan)),
    ("atanh", _unary(np.arctanh)),
    ("cast", cast),
    ("ceil", _unary(np.ceil)),
    ("clip", clip),
    ("cos", _unary(np.cos)),
    ("cosh", _unary(np.cosh)),
    ("equal", _binary(np.equal)),
    ("erf", erf),
    ("exp", _unary(np.exp)),
    ("exp2", _unary(np.exp2)),
    ("floor", _unary(np.floor)),
    ("floor_div", _binary(np.floor_divide)),
    ("greater", _binary(np.greater)),
    ("greater_equal", _binary(np.greater_equal)),
    ("identity", _unary(np.asarray)),
    ("inverse", inverse),
    ("less", _binary(np.less)),
    ("less_equal", _binary(np.less_equal)),
    ("log", log),
    ("logical_and", _binary(np.logical_and)),
    ("logical_not", _unary(np.logical_not)),
    ("logical_or", _binary(np.logical_or)),
    ("logical_xor", _binary(np.logical_xor)),
    ("maximum", _binary(np.maximum)),
    ("minimum", _binary(np.minimum)),
    ("mod", _binary(np.mod)),
    ("mul", _binary(np.multiply)),
    ("not_equal", _binary(np.not_equal)),
    ("pow", _binary(np.power)),
    ("real_div", _binary(np.true_divide)),
    ("round", _unary(np.round)),
    ("rsqrt", rsqrt),
    ("select", select),
    ("sign", _unary(np.sign)),
    ("sin", _unary(np.sin)),
    ("sinh", _unary(np.sinh)),
    ("sqrt", _unary(np.sqrt)),
    ("square", _unary(np.square)),
    ("sub", _binary(np.subtract)),
    ("tan", _unary(np.tan)),
    ("tanh", _unary(np.tanh)),
    ("threshold", threshold),
)
