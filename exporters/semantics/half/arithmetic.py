"""The half-precision instructions of ARMv8.2 (FEAT_FP16), on numpy arrays of float16.

Each rounds its exact result once. XNNPACK computes with FPCR.FZ16 set (pthreadpool disables denormals): a
number below 2^-14 in magnitude is 0 to every arithmetic instruction, as an operand and as a result. Moves and
conversions keep such numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mocovit_deploy.artifacts.artifact import Array

Half = np.float16

SMALLEST = 2.0**-14
"""The smallest normal fp16 number."""


def nearest_half(value: float) -> Any:
    """The fp16 number nearest to `value`."""
    return Half(value)


def bits(pattern: int) -> Any:
    """The fp16 number with this bit pattern."""
    return np.uint16(pattern).view(Half)


def flushed(x: Any) -> Array:
    """x (any float type), with 0 of the same sign for every number below `SMALLEST` in magnitude."""
    return np.asarray(np.where(np.abs(x) < SMALLEST, np.copysign(0, x), x))


def rounded(exact: Any) -> Array:
    """An exact result (float64) as an instruction returns it: flushed, then rounded to fp16."""
    return flushed(exact).astype(Half)


def _operand(x: Any) -> Array:
    return flushed(x).astype(np.float64)


def add(a: Any, b: Any) -> Array:
    """a + b, rounded once (FADD)."""
    return rounded(_operand(a) + _operand(b))


def subtract(a: Any, b: Any) -> Array:
    """a - b, rounded once (FSUB)."""
    return rounded(_operand(a) - _operand(b))


def multiply(a: Any, b: Any) -> Array:
    """a * b, rounded once (FMUL)."""
    return rounded(_operand(a) * _operand(b))


def divide(a: Any, b: Any) -> Array:
    """a / b, rounded once (FDIV)."""
    return rounded(_operand(a) / _operand(b))


def root(x: Any) -> Array:
    """The square root of x, rounded once (FSQRT)."""
    return rounded(np.sqrt(_operand(x)))


def fma(a: Any, b: Any, c: Any) -> Array:
    """a * b + c, rounded once (FMLA).

    Float64 holds the product exactly, and the sum so exactly that rounding it again to fp16 changes nothing.
    """
    return rounded(_operand(a) * _operand(b) + _operand(c))


def smaller(a: Any, b: Any) -> Array:
    """The smaller of two; NaN if either is NaN (FMIN)."""
    return rounded(np.minimum(_operand(a), _operand(b)))


def larger(a: Any, b: Any) -> Array:
    """The larger of two; NaN if either is NaN (FMAX)."""
    return rounded(np.maximum(_operand(a), _operand(b)))


def shifted_left(x: Array, places: int) -> Array:
    """The bit pattern moved left, read as fp16 again (SHL)."""
    return np.left_shift(x.view(np.uint16), np.uint16(places)).view(Half)


def masked(x: Array, mask: Array) -> Array:
    """+0 where `mask` is true, else x (BIC)."""
    return np.where(mask, Half(0), x)


def reciprocal_estimate(x: Array) -> Array:
    """1 / x to eight bits (FRECPE). Source: Arm Architecture Reference Manual, FPRecipEstimate."""
    x = _operand(x)
    mantissa, exponent = np.frexp(np.abs(x))  # mantissa in [1/2, 1)
    steps = np.floor(mantissa * 512).astype(np.int64)  # 256 to 511
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = (np.where(steps > 0, (1 << 19) // np.maximum(2 * steps + 1, 1), 0) + 1) // 2
    value = np.ldexp(estimate / 256.0, -exponent)
    value = np.where(x == 0, np.inf, np.where(np.isinf(x), 0.0, np.where(np.isnan(x), np.nan, value)))
    return rounded(np.copysign(value, x))


def reciprocal_root_estimate(x: Array) -> Array:
    """1 / sqrt(x) to eight bits (FRSQRTE). Source: the same manual, FPRSqrtEstimate."""
    wide = _operand(x)
    positive = np.where((wide > 0) & np.isfinite(wide), wide, 1.0)
    mantissa, exponent = np.frexp(positive)
    odd = exponent % 2 != 0
    # An even power of two taken out: what is left lies in [1/4, 1), in 512ths from 128 to 511.
    scaled = np.floor(np.where(odd, mantissa / 2, mantissa) * 512).astype(np.int64)
    power = np.where(odd, exponent + 1, exponent) // 2
    half_step = np.where(scaled < 256, 2 * scaled + 1, 2 * (((scaled >> 1) << 1) + 1))
    # The largest b with a * (b + 1)^2 < 2^28, plus one, halved.
    root = np.floor(np.sqrt((2.0**28 - 1) / half_step)).astype(np.int64)
    root += half_step * (root + 1) ** 2 < 1 << 28
    root -= half_step * root**2 >= 1 << 28
    value = np.ldexp(((root + 1) // 2) / 256.0, -power)
    value = np.where(wide > 0, np.where(np.isinf(wide), 0.0, value), np.nan)
    value = np.where(wide == 0, np.copysign(np.inf, wide), value)
    return rounded(value)


def reciprocal_root_step(a: Array, b: Array) -> Array:
    """(3 - a * b) / 2, rounded once; 1.5 for zero times infinity (FRSQRTS)."""
    product = _operand(a) * _operand(b)
    undefined = np.isnan(product) & ~np.isnan(a) & ~np.isnan(b)
    return rounded((3.0 - np.where(undefined, 0.0, product)) / 2)
