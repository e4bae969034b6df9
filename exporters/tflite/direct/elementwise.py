"""Element by element: functions of one value, arithmetic of two, comparisons, choices.

ATen                                    TFLite                         XNNPACK
abs exp log sqrt rsqrt sin cos neg      the operator of that name      fp32, fp16
floor ceil round square                 the operator of that name      fp32, fp16
add sub mul div, alpha and all          ADD SUB MUL DIV                fp32, fp16; ADD SUB MUL int8 too
maximum minimum clamp                   MAXIMUM MINIMUM                fp32, fp16
square(sub(x, y)), read nowhere else    SQUARED_DIFFERENCE             fp32, fp16
pow                                     SQUARE SQRT RSQRT MUL DIV      fp32, fp16; else POW, never
comparisons, where, masked_fill         arithmetic with a constant     fp32, fp16; else SELECT_V2, never
_to_copy, to                            CAST                           never

Operands may have any shapes, and broadcast as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from exporters.tflite.direct.arithmetic import Operand, binary, promoted, squared
from exporters.tflite.direct.axes import Value, axes_of
from exporters.tflite.direct.layout import MOST_DIMS
from exporters.tflite.direct.unsupported import UnsupportedError
from exporters.tflite.direct.writer import Operations, Writer, aten, scalar_of

HUGE, HUGE_IN_HALF = 1e30, 3e4
"""The number in place of infinity in a mask: finite, so that no NaN arises, with 0 as exp of its negative."""

_NUMPY = {
    torch.float32: np.float32,
    torch.float64: np.float32,
    torch.float16: np.float32,
    torch.bfloat16: np.float32,
    torch.int64: np.int64,
    torch.int32: np.int32,
    torch.bool: np.bool_,
    torch.uint8: np.uint8,
    torch.int16: np.int32,
    torch.int8: np.int8,
}


def _truths(*operands: Operand) -> bool:
    """True if all operands are boolean tensors, which no arithmetic operator takes."""
    return all(isinstance(one, Value) and one.dtype == np.bool_ for one in operands)


def add(w: Writer, x: Operand, y: Operand, alpha: float = 1) -> Value:
    if _truths(x, y):
        return binary(w, "LOGICAL_OR", x, y)
    return binary(w, "ADD", x, _times(w, y, alpha), w.fused())


def sub(w: Writer, x: Operand, y: Operand, alpha: float = 1) -> Value:
    square = w.followed_by(aten.square.default, aten.pow.Tensor_Scalar) if alpha == 1 else None
    if square is not None and (square.target is aten.square.default or square.args[1] == 2):
        w.absorb(square)
        return binary(w, "SQUARED_DIFFERENCE", x, y)
    return binary(w, "SUB", x, _times(w, y, alpha), w.fused())


def rsub(w: Writer, x: Operand, y: Operand, alpha: float = 1) -> Value:
    return binary(w, "SUB", y, _times(w, x, alpha), w.fused())


def mul(w: Writer, x: Operand, y: Operand) -> Value:
    if w.half and isinstance(x, Value) and x is y:
        return squared(w, x)
    if _truths(x, y):
        return binary(w, "LOGICAL_AND", x, y)
    return binary(w, "MUL", x, y, w.fused())


def div(w: Writer, x: Operand, y: Operand, rounding: str | None = None) -> Value:
    if rounding == "trunc":
        raise UnsupportedError("division rounded towards zero")
    if isinstance(x, Value) and x.dtype.kind != "f":
        if rounding == "floor":
            return binary(w, "FLOOR_DIV", x, y)
        x = w.cast(x, np.float32)
    number = y if not isinstance(y, Value) else scalar_of(y)
    if rounding is None and number is not None and number and np.log2(abs(number)) % 1 == 0:
        return binary(w, "MUL", x, 1 / number, w.fused())  # a power of two: exact, and cheaper
    if rounding == "floor":
        quotient = binary(w, "DIV", x, y, 0)
        return w.unary("FLOOR", quotient)
    return binary(w, "DIV", x, y, w.fused())


def _times(w: Writer, y: Operand, alpha: float) -> Operand:
    if alpha == 1:
        return y
    return binary(w, "MUL", y, alpha) if isinstance(y, Value) else y * alpha


def addcmul(w: Writer, x: Value, y: Operand, z: Operand, value: float = 1) -> Value:
    """x + value * y * z"""
    return binary(w, "ADD", x, _times(w, binary(w, "MUL", y, z), value), w.fused())


def addcdiv(w: Writer, x: Value, y: Operand, z: Operand, value: float = 1) -> Value:
    """x + value * y / z"""
    return binary(w, "ADD", x, _times(w, binary(w, "DIV", y, z), value), w.fused())


def lerp(w: Writer, x: Value, y: Value, weight: Operand) -> Value:
    """x + weight * (y - x)"""
    return binary(w, "ADD", x, binary(w, "MUL", binary(w, "SUB", y, x), weight), w.fused())


def clamp(w: Writer, x: Value, low: Operand | None = None, high: Operand | None = None) -> Value:
    bounds = (low, high)
    if bounds == (0, None) and x.dtype.kind == "f":
        return w.unary("RELU", x)
    if bounds == (0, 6) and x.dtype.kind == "f":
        return w.unary("RELU6", x)
    if low is not None:
        x = binary(w, "MAXIMUM", x, low)
    if high is not None:
        x = binary(w, "MINIMUM", x, high)
    return x


def power(w: Writer, x: Operand, exponent: Operand) -> Value:
    """x ** exponent; by products, roots or a division for the exponents 1, 2, 3, 4, 0.5, -0.5, -1 and -2."""
    number = exponent if not isinstance(exponent, Value) else scalar_of(exponent)
    if isinstance(x, Value) and x.dtype.kind == "f" and number is not None:
        if number in (1, 2, 3, 4):
            once = x
            square = once if number == 1 else squared(w, x)
            if number == 3:
                return binary(w, "MUL", square, once)
            return squared(w, square) if number == 4 else square
        if number in (0.5, -0.5):
            return w.unary("SQRT" if number > 0 else "RSQRT", x)
        if number in (-1, -2):
            return binary(w, "DIV", 1.0, x if number == -1 else squared(w, x))
    return binary(w, "POW", x, exponent)


def reciprocal(w: Writer, x: Value) -> Value:
    return binary(w, "DIV", 1.0, x, 0)


def remainder(w: Writer, x: Operand, y: Operand) -> Value:
    return binary(w, "FLOOR_MOD", x, y)


def log1p(w: Writer, x: Value) -> Value:
    return w.unary("LOG", binary(w, "ADD", x, 1.0))


def expm1(w: Writer, x: Value) -> Value:
    return binary(w, "SUB", w.unary("EXP", x), 1.0)


def log2(w: Writer, x: Value) -> Value:
    return binary(w, "MUL", w.unary("LOG", x), float(1 / np.log(2)))


def absolute(w: Writer, x: Value) -> Value:
    return w.unary("ABS", x)


def choose(w: Writer, condition: Value, x: Operand, y: Operand) -> Value:
    """where(condition, x, y).

    If the condition and one of x and y are constants, it is written as computed * mask + numbers: `mask` is 1
    where the computed value is chosen, and `numbers` holds the constant elsewhere, with `HUGE` for infinity.
    The computed value must be finite where it is not chosen. Any other choice is a SELECT_V2.
    """
    x, y = promoted(w, x, y)
    if condition.array is None or x.dtype.kind != "f" or (x.array is None and y.array is None):
        return _select(w, condition, x, y)
    mask = w.array(condition).astype(np.bool_)
    computed, fixed, keep = (x, y, mask) if x.array is None else (y, x, ~mask)
    numbers = np.where(keep, np.float32(0), w.array(fixed))
    if not np.isfinite(numbers).all():
        numbers = np.where(
            np.isfinite(numbers), numbers, np.sign(numbers) * (HUGE_IN_HALF if w.half else HUGE)
        )
    kept = binary(w, "MUL", computed, w.constant(keep.astype(np.float32)))
    return binary(w, "ADD", kept, w.constant(numbers.astype(np.float32)))


def _select(w: Writer, condition: Value, x: Value, y: Value) -> Value:
    """SELECT_V2, in PyTorch's order of axes."""
    rank, held = max(condition.rank, x.rank, y.rank), []
    for one in (condition, x, y):
        value = w.layout.straight(one.seen_as([()] * (rank - one.rank) + list(one.logical)))
        held.append(w.layout.tensor(value))
    shape = np.broadcast_shapes(*(w.file.shape(one) for one in held))
    if len(shape) > MOST_DIMS - 2:
        raise UnsupportedError("a choice between values of more than four dimensions")
    dims = axes_of(shape)
    return w.value(w.file.operator("SELECT_V2", held, shape, x.dtype), dims, dims)


def masked_fill(w: Writer, x: Value, mask: Value, value: Operand) -> Value:
    if isinstance(value, Value):
        return choose(w, mask, value, x)
    return choose(w, mask, w.constant(value, x.dtype), x)


def to(w: Writer, x: Value, dtype: Any = None, *_: Any) -> Value:
    if not isinstance(dtype, torch.dtype):
        return x
    if dtype not in _NUMPY:
        raise UnsupportedError(f"no TFLite type for {dtype}")
    return w.cast(x, _NUMPY[dtype])


def _one(kind: str) -> Any:
    def write(w: Writer, x: Value, *_: Any) -> Value:
        if x.dtype.kind != "f" and kind not in ("NEG", "ABS", "LOGICAL_NOT", "SIGN"):
            x = w.cast(x, np.float32)
        return w.unary(kind, x)

    return write


def _two(kind: str) -> Any:
    def write(w: Writer, x: Operand, y: Operand) -> Value:
        return binary(w, kind, x, y)

    return write


OPERATIONS: Operations = {
    aten.add.Tensor: add,
    aten.add.Scalar: add,
    aten.sub.Tensor: sub,
    aten.sub.Scalar: sub,
    aten.rsub.Scalar: rsub,
    aten.rsub.Tensor: rsub,
    aten.mul.Tensor: mul,
    aten.mul.Scalar: mul,
    aten.multiply.Tensor: mul,
    aten.div.Tensor: div,
    aten.div.Scalar: div,
    aten.div.Tensor_mode: div,
    aten.true_divide.Tensor: div,
    aten.floor_divide.default: lambda w, x, y: div(w, x, y, "floor"),
    aten.remainder.Scalar: remainder,
    aten.remainder.Tensor: remainder,
    aten.addcmul.default: addcmul,
    aten.addcdiv.default: addcdiv,
    aten.lerp.Scalar: lerp,
    aten.lerp.Tensor: lerp,
    aten.maximum.default: _two("MAXIMUM"),
    aten.minimum.default: _two("MINIMUM"),
    aten.max.other: _two("MAXIMUM"),
    aten.min.other: _two("MINIMUM"),
    aten.clamp.default: clamp,
    aten.clamp.Tensor: clamp,
    aten.clamp_min.default: clamp,
    aten.clamp_min.Tensor: clamp,
    aten.clamp_max.default: lambda w, x, high: clamp(w, x, None, high),
    aten.clamp_max.Tensor: lambda w, x, high: clamp(w, x, None, high),
    aten.pow.Tensor_Scalar: power,
    aten.pow.Tensor_Tensor: power,
    aten.pow.Scalar: power,
    aten.reciprocal.default: reciprocal,
    aten.abs.default: absolute,
    aten.exp.default: _one("EXP"),
    aten.log.default: _one("LOG"),
    aten.sqrt.default: _one("SQRT"),
    aten.rsqrt.default: _one("RSQRT"),
    aten.sin.default: _one("SIN"),
    aten.cos.default: _one("COS"),
    aten.neg.default: _one("NEG"),
    aten.floor.default: _one("FLOOR"),
    aten.ceil.default: _one("CEIL"),
    aten.round.default: _one("ROUND"),
    aten.square.default: squared,
    aten.sign.default: _one("SIGN"),
    aten.log1p.default: log1p,
    aten.expm1.default: expm1,
    aten.log2.default: log2,
    aten.eq.Tensor: _two("EQUAL"),
    aten.eq.Scalar: _two("EQUAL"),
    aten.ne.Tensor: _two("NOT_EQUAL"),
    aten.ne.Scalar: _two("NOT_EQUAL"),
    aten.lt.Tensor: _two("LESS"),
    aten.lt.Scalar: _two("LESS"),
    aten.le.Tensor: _two("LESS_EQUAL"),
    aten.le.Scalar: _two("LESS_EQUAL"),
    aten.gt.Tensor: _two("GREATER"),
    aten.gt.Scalar: _two("GREATER"),
    aten.ge.Tensor: _two("GREATER_EQUAL"),
    aten.ge.Scalar: _two("GREATER_EQUAL"),
    aten.logical_not.default: _one("LOGICAL_NOT"),
    aten.logical_and.default: _two("LOGICAL_AND"),
    aten.logical_or.default: _two("LOGICAL_OR"),
    aten.where.self: choose,
    aten.where.ScalarOther: choose,
    aten.where.ScalarSelf: choose,
    aten.where.Scalar: choose,
    aten.masked_fill.Scalar: masked_fill,
    aten.masked_fill.Tensor: masked_fill,
    aten._to_copy.default: to,
    aten.to.dtype: to,
    aten.to.dtype_layout: to,
    aten.to.device: lambda w, x, _device, dtype, *_: to(w, x, dtype),
    aten.type_as.default: lambda w, x, y: w.cast(x, y.dtype),
}
