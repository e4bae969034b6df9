"""Element by element: in fp16 by the algorithms of XNNPACK's kernels, in float32 by the formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exporters.semantics.half import arithmetic as half
from exporters.semantics.half import functions
from exporters.semantics.half.arithmetic import Half
from exporters.semantics.half.functions import look_up
from exporters.semantics.special import erf, sigmoid
from exporters.tflite.reference.program import Step
from mocovit_deploy.artifacts.artifact import Array

_LIMITS = {1: (0.0, np.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
"""`ActivationFunctionType` of the schema: RELU, RELU_N1_TO_1, RELU6."""
_TANH = 4


def activated(y: Array, options: Any) -> Array:
    """`y` after the activation that is fused into an operator. Raises `ValueError` for an unknown one."""
    function = getattr(options, "fusedActivationFunction", 0) or 0
    if not function:
        return y
    if function == _TANH:
        return tanh(y)
    if function not in _LIMITS:
        raise ValueError(f"fused activation {function}")
    return clamp(y, *_LIMITS[function])


def clamp(x: Array, low: float, high: float) -> Array:
    """x limited to [low, high]; NaN stays NaN."""
    if x.dtype == Half:
        return half.smaller(half.larger(x, half.nearest_half(low)), half.nearest_half(high))
    return np.minimum(np.maximum(x, np.float32(low)), np.float32(high))


def tanh(x: Array) -> Array:
    return look_up(functions.tanh, x) if x.dtype == Half else np.tanh(x)


Binary = Callable[[Any, Any], Any]


def _binary(in_half: Binary, in_float: Binary) -> Callable[..., Array]:
    def apply(step: Step, a: Array, b: Array) -> Array:
        y = in_half(a, b) if a.dtype == Half else np.asarray(in_float(a, b), a.dtype)
        return activated(y, step.options)

    return apply


def _squared_difference(a: Array, b: Array) -> Array:
    difference = half.subtract(a, b)
    return half.multiply(difference, difference)


def _prelu(a: Array, slope: Array) -> Array:
    return np.where(a < 0, half.multiply(a, slope), half.multiply(a, half.nearest_half(1)))


def _no_half_kernel(_a: Array, _b: Array) -> Array:
    raise TypeError("XNNPACK has no half kernel for this operator")


def _unary(in_half: Callable[[Array], Array], in_float: Callable[[Array], Any]) -> Callable[..., Array]:
    def apply(_step: Step, x: Array) -> Array:
        return in_half(x) if x.dtype == Half else np.asarray(in_float(x), x.dtype)

    return apply


def _by_table(function: Callable[..., Array]) -> Callable[[Array], Array]:
    return lambda x: look_up(function, x)


def _limited(low: float, high: float) -> Callable[..., Array]:
    return lambda _step, x: clamp(x, low, high)


def elu(_step: Step, x: Array) -> Array:
    if x.dtype == Half:
        return look_up(functions.elu, x, 1.0)
    return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)


def leaky_relu(step: Step, x: Array) -> Array:
    slope = float(step.options.alpha)
    if x.dtype == Half:
        return look_up(functions.leaky_relu, x, slope)
    return np.where(x < 0, np.float32(slope) * x, x)


def gelu(step: Step, x: Array) -> Array:
    by_tanh = bool(step.options is not None and step.options.approximate)
    if x.dtype == Half:
        return look_up(functions.gelu_by_tanh if by_tanh else functions.gelu, x)
    if by_tanh:
        inner = np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)
        return np.asarray(np.float32(0.5) * x * (1 + np.tanh(inner)))
    return np.asarray(np.float32(0.5) * x * (1 + erf(x * np.float32(0.5**0.5))))


def cast(_step: Step, x: Array) -> Array:
    """x itself: `execute` keeps every value in the type that the file declares."""
    return x


def select(_step: Step, condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, a, b)


OPERATIONS: tuple[tuple[str, Callable[..., Array]], ...] = (
    ("ABS", _unary(np.abs, np.abs)),
    ("ADD", _binary(half.add, np.add)),
    ("CAST", cast),
    ("CEIL", _unary(lambda x: np.ceil(half.flushed(x)), np.ceil)),
    ("DEQUANTIZE", cast),
    ("DIV", _binary(half.divide, np.true_divide)),
    ("ELU", elu),
    ("EXP", _unary(_by_table(functions.exp), np.exp)),
    ("FLOOR", _unary(lambda x: np.floor(half.flushed(x)), np.floor)),
    ("GELU", gelu),
    (
        "HARD_SWISH",
        _unary(_by_table(functions.hard_swish), lambda x: x * np.clip(x + 3, 0, 6) * np.float32(1 / 6)),
    ),
    ("LEAKY_RELU", leaky_relu),
    ("LOG", _unary(_by_table(functions.log), np.log)),
    ("LOGISTIC", _unary(_by_table(functions.sigmoid), sigmoid)),
    ("MAXIMUM", _binary(half.larger, np.maximum)),
    ("MINIMUM", _binary(half.smaller, np.minimum)),
    ("MUL", _binary(half.multiply, np.multiply)),
    ("NEG", _unary(np.negative, np.negative)),
    ("POW", _binary(_no_half_kernel, np.power)),
    ("PRELU", _binary(_prelu, lambda a, slope: np.where(a < 0, a * slope, a))),
    ("RELU", _limited(0.0, np.inf)),
    ("RELU6", _limited(0.0, 6.0)),
    ("RELU_0_TO_1", _limited(0.0, 1.0)),
    ("RELU_N1_TO_1", _limited(-1.0, 1.0)),
    ("ROUND", _unary(np.rint, np.rint)),
    ("RSQRT", _unary(_by_table(functions.reciprocal_root), lambda x: 1 / np.sqrt(x))),
    ("SELECT", select),
    ("SELECT_V2", select),
    ("SQRT", _unary(half.root, np.sqrt)),
    ("SQUARE", _unary(lambda x: half.multiply(x, x), np.square)),
    ("SQUARED_DIFFERENCE", _binary(_squared_difference, lambda a, b: np.square(a - b))),
    ("SUB", _binary(half.subtract, np.subtract)),
    ("TANH", lambda _step, x: tanh(x)),
)
