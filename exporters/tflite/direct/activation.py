"""Activations, each in the cheapest form that XNNPACK takes.

ATen                       TFLite                                                      XNNPACK
relu relu6 hardtanh        RELU RELU6 RELU_N1_TO_1, or inside the operator before      fp32, fp16; int8 inside
sigmoid tanh               LOGISTIC TANH                                               fp32, fp16, int8
hardswish gelu elu         HARD_SWISH GELU ELU                                         fp32, fp16
leaky_relu prelu           LEAKY_RELU PRELU                                            fp32, fp16
silu                       LOGISTIC - MUL                                              fp32, fp16, int8
hardsigmoid                ADD 3 with RELU6 inside - MUL 1/6; after a convolution      fp32, fp16
                           the 3 is part of its bias
softplus mish              max(x, 0) + log(1 + exp(-|x|)), which cannot overflow       fp32, fp16
softmax log_softmax        SOFTMAX over the last dimension of the tensor               fp32, fp16

Inputs may have any shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exporters.tflite.direct.arithmetic import binary
from exporters.tflite.direct.axes import Value, sizes
from exporters.tflite.direct.elementwise import clamp
from exporters.tflite.direct.slices import sliced
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.writer import Operations, Writer, aten

SIXTH = float(np.float32(1 / 6))


def relu(w: Writer, x: Value) -> Value:
    return w.unary("RELU", x)


def relu6(w: Writer, x: Value) -> Value:
    return w.unary("RELU6", x)


def hardtanh(w: Writer, x: Value, low: float = -1, high: float = 1) -> Value:
    return w.unary("RELU_N1_TO_1", x) if (low, high) == (-1, 1) else clamp(w, x, low, high)


def hardsigmoid(w: Writer, x: Value) -> Value:
    relu6_inside = w.file.schema.ActivationFunctionType.RELU6
    return binary(w, "MUL", binary(w, "ADD", x, 3.0, relu6_inside), SIXTH)


def silu(w: Writer, x: Value) -> Value:
    return binary(w, "MUL", x, w.unary("LOGISTIC", x))


def log_sigmoid(w: Writer, x: Value) -> Value:
    return w.unary("NEG", softplus(w, w.unary("NEG", x)))


def gelu(w: Writer, x: Value, approximate: str = "none") -> Value:
    return w.unary("GELU", x, approximate=approximate == "tanh")


def elu(w: Writer, x: Value, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Value:
    """scale * (max(x, 0) + alpha * (exp(input_scale * min(x, 0)) - 1))"""
    if alpha == scale == input_scale == 1:
        return w.unary("ELU", x)
    below = binary(w, "MINIMUM", x, 0.0)
    curve = w.unary("ELU", below if input_scale == 1 else binary(w, "MUL", below, input_scale))
    above = w.unary("RELU", x)
    if scale != 1:
        above = binary(w, "MUL", above, scale)
    return binary(w, "ADD", above, binary(w, "MUL", curve, alpha * scale))


def celu(w: Writer, x: Value, alpha: float = 1) -> Value:
    return elu(w, x, alpha, 1, 1 / alpha)


def selu(w: Writer, x: Value) -> Value:
    return elu(w, x, 1.6732632423543772, 1.0507009873554805)


def leaky_relu(w: Writer, x: Value, slope: float = 0.01) -> Value:
    return w.unary("LEAKY_RELU", x, alpha=slope)


def prelu(w: Writer, x: Value, weight: Value) -> Value:
    """A slope for each channel, which is dimension 1, or one for all."""
    slopes = w.array(weight, "the slope")
    if slopes.size > 1 and x.rank > 1:
        slopes = slopes.reshape(-1, *[1] * (x.rank - 2))
    if slopes.size == 1:
        slope = float(slopes.reshape(()))
        return leaky_relu(w, x, slope)
    return binary(w, "PRELU", x, w.constant(slopes, name=weight.name))


def softplus(w: Writer, x: Value, beta: float = 1, threshold: float = 20) -> Value:
    """log(1 + exp(beta x)) / beta; above the threshold PyTorch gives x, which is the same to 2e-9."""
    if threshold < 15:
        raise UnsupportedError(f"a threshold of {threshold}; its formula here needs at least 15")
    scaled = x if beta == 1 else binary(w, "MUL", x, beta)
    small = w.unary("EXP", w.unary("NEG", w.unary("ABS", scaled)))
    y = binary(w, "ADD", w.unary("RELU", scaled), w.unary("LOG", binary(w, "ADD", small, 1.0)))
    return y if beta == 1 else binary(w, "MUL", y, 1 / beta)


def mish(w: Writer, x: Value) -> Value:
    return binary(w, "MUL", x, w.unary("TANH", softplus(w, x)))


def softshrink(w: Writer, x: Value, bound: float = 0.5) -> Value:
    """x - clamp(x, -bound, bound)"""
    return binary(w, "SUB", x, clamp(w, x, -bound, bound))


def softmax(w: Writer, x: Value, dim: int, *_: Any) -> Value:
    x = w.layout.with_last(x, x.dim(dim))
    held = w.layout.tensor(x)
    return w.same(x, w.file.operator("SOFTMAX", [held], sizes(x.physical), beta=1.0))


def log_softmax(w: Writer, x: Value, dim: int, *_: Any) -> Value:
    x = w.layout.with_last(x, x.dim(dim))
    return w.same(x, w.file.operator("LOG_SOFTMAX", [w.layout.tensor(x)], sizes(x.physical)))


def glu(w: Writer, x: Value, dim: int = -1) -> Value:
    half = x.shape[dim] // 2
    first, second = sliced(w, x, dim, 0, half), sliced(w, x, dim, half, 2 * half)
    return binary(w, "MUL", first, w.unary("LOGISTIC", second))


def _one(kind: str) -> Any:
    def write(w: Writer, x: Value) -> Value:
        return w.unary(kind, x)

    return write


OPERATIONS: Operations = {
    aten.relu.default: relu,
    aten.relu6.default: relu6,
    aten.hardtanh.default: hardtanh,
    aten.sigmoid.default: _one("LOGISTIC"),
    aten.tanh.default: _one("TANH"),
    aten.hardswish.default: _one("HARD_SWISH"),
    aten.hardsigmoid.default: hardsigmoid,
    aten.silu.default: silu,
    aten.log_sigmoid.default: log_sigmoid,
    aten.gelu.default: gelu,
    aten.elu.default: elu,
    aten.celu.default: celu,
    aten.selu.default: selu,
    aten.leaky_relu.default: leaky_relu,
    aten.prelu.default: prelu,
    aten.softplus.default: softplus,
    aten.mish.default: mish,
    aten.softshrink.default: softshrink,
    aten.softmax.int: softmax,
    aten._softmax.default: softmax,
    aten.log_softmax.int: log_softmax,
    aten._log_softmax.default: log_softmax,
    aten.glu.default: glu,
}
