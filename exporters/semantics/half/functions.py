"""Functions of one fp16 value, as XNNPACK's kernels compute them, by tables of 65536 results.

A kernel is a few instructions on float16 arrays. It runs once, over all 65536 fp16 numbers; `look_up` then
reads its results. Each docstring names the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from exporters.semantics.half.arithmetic import (
    Half,
    add,
    bits,
    divide,
    fma,
    larger,
    masked,
    multiply,
    nearest_half,
    reciprocal_estimate,
    reciprocal_root_estimate,
    reciprocal_root_step,
    shifted_left,
    smaller,
    subtract,
)
from mocovit_deploy.artifacts.artifact import Array

# exp(x) = 2^n * exp(t) with n the whole part of x / ln 2, found by adding a number so large that the sum has
# no fraction bits; the low bits of the sum, moved into the exponent's place, are 2^n.
_MAGIC = bits(0x660F)
_LOG2E = bits(0x3DC5)
_LN2_HIGH, _LN2_LOW = bits(0xB98C), bits(0x0AF4)  # -ln 2 in two parts
_C2, _C1 = bits(0x37F9), bits(0x3C0E)
_EXP_CUTOFF = bits(0xC8DA)  # below it exp(x) is smaller than any normal fp16 number, and becomes 0


def look_up(function: Callable[..., Array], x: Array, *parameters: float) -> Array:
    """`function(x, *parameters)` for every element of x (float16), read from the function's table."""
    return _table(function, *parameters)[x.view(np.uint16)]


@cache
def _table(function: Callable[..., Array], *parameters: float) -> Array:
    everything = np.arange(1 << 16, dtype=np.uint16).view(Half)
    with np.errstate(all="ignore"):
        return function(everything, *parameters)


def exp_of_non_positive(x: Array) -> Array:
    """exp(x) for x <= 0: the part `rr2-p2` of the kernels of softmax and of the logistic function."""
    n = fma(x, _LOG2E, _MAGIC)
    power = shifted_left(n, 10)
    n = subtract(n, _MAGIC)
    t = fma(n, _LN2_LOW, fma(n, _LN2_HIGH, x))
    p = fma(_C2, t, _C1)
    return masked(fma(p, multiply(t, power), power), x < _EXP_CUTOFF)


def sigmoid(x: Array) -> Array:
    """`f16-vsigmoid-neonfp16arith-rr2-p2-nr1fma`."""
    one = nearest_half(1)
    z = np.abs(x)
    n = fma(z, -_LOG2E, _MAGIC)
    power = shifted_left(n, 10)
    n = subtract(n, _MAGIC)
    t = fma(n, -_LN2_LOW, fma(n, -_LN2_HIGH, z))
    p = fma(_C2, t, -_C1)
    e = fma(p, multiply(t, power), power)
    d = add(e, one)
    r = reciprocal_estimate(d)
    r = fma(r, fma(-r, d, one), r)
    f = masked(multiply(e, r), z > -_EXP_CUTOFF)
    return np.where(x < 0, f, subtract(one, f))


def exp(x: Array) -> Array:
    """`f16-vexp-neonfp16arith-poly-3`."""
    z = smaller(larger(multiply(x, nearest_half(1.4423828)), nearest_half(-15)), nearest_half(16))
    whole = subtract(add(nearest_half(1536), z), nearest_half(1536))
    r = subtract(z, whole)
    power = shifted_left(add(whole, nearest_half(1039)), 10)
    p = fma(r, nearest_half(0.05517578), nearest_half(0.24255371))
    p = fma(r, fma(r, p, nearest_half(0.6933594)), nearest_half(1))
    return multiply(power, p)


def log(x: Array) -> Array:
    """`f16-vlog-neonfp16arith-rational-1-3-div`."""
    one = nearest_half(1)
    x = multiply(x, nearest_half(1.41421356))
    signed = np.where(x == 0, nearest_half(-0.0), x)
    shifted = np.right_shift(signed.view(np.int16) & np.int16(-1024), np.int16(5))
    exponent = subtract((shifted | nearest_half(32).view(np.int16)).view(Half), nearest_half(47))
    mantissa = ((x.view(np.uint16) & np.uint16(0x03FF)) | np.uint16(0x3C00)).view(Half)
    r = subtract(multiply(mantissa, nearest_half(0.70710678)), one)
    q = fma(r, nearest_half(4.8828125e-2), nearest_half(-8.8439941406e-2))
    q = fma(r, fma(r, q, nearest_half(4.9951171875e-1)), one)
    return fma(exponent, nearest_half(0.69314718), divide(r, q))


def tanh(x: Array) -> Array:
    """`f16-vtanh-neonfp16arith-rational-5-4-div`."""
    one = nearest_half(1)
    x = larger(nearest_half(-4.5), smaller(nearest_half(4.5), x))
    square = multiply(x, x)
    p = fma(square, nearest_half(8.1062316895e-04), nearest_half(1.0632324219e-01))
    p = multiply(x, fma(square, p, one))
    q = fma(square, nearest_half(1.4091491699e-02), nearest_half(4.3945312500e-01))
    return divide(p, fma(square, q, one))


def gelu(x: Array) -> Array:
    """`f16-vgelu-neonfp16arith-rational-6-4-div`."""
    return _gelu(
        x, 3.5, (7.9763203859e-01, 1.5397867560e-01, 4.5998394489e-03), (3.5756936669e-01, 4.2862996459e-02)
    )


def gelu_by_tanh(x: Array) -> Array:
    """`f16-vapproxgelu-neonfp16arith-rational-6-4-div`."""
    return _gelu(
        x,
        3.26367188,
        (7.9763704538e-01, 1.4811584353e-01, 4.3507730588e-03),
        (3.5130375624e-01, 4.0821321309e-02),
    )


def _gelu(x: Array, limit: float, numerator: tuple[float, ...], denominator: tuple[float, ...]) -> Array:
    """x / 2 * (1 + p / q), with p an odd and q an even polynomial of x clamped to [-limit, limit]."""
    one = nearest_half(1)
    z = larger(nearest_half(-limit), smaller(nearest_half(limit), x))
    square = multiply(z, z)
    a1, a3, a5 = map(nearest_half, numerator)
    b2, b4 = map(nearest_half, denominator)
    p = multiply(z, fma(square, fma(square, a5, a3), a1))
    q = fma(square, fma(square, b4, b2), one)
    return multiply(multiply(x, nearest_half(0.5)), add(divide(p, q), one))


def hard_swish(x: Array) -> Array:
    """`f16-vhswish-neonfp16arith`; its clamp compares bit patterns as integers."""
    shifted = add(x, nearest_half(3)).view(np.int16)
    clamped = np.minimum(np.maximum(shifted, np.int16(0)), nearest_half(6).view(np.int16)).view(Half)
    return multiply(clamped, multiply(x, bits(0x3155)))


def elu(x: Array, alpha: float) -> Array:
    """`f16-velu-neonfp16arith-rr1-p3`."""
    minus_alpha = -nearest_half(alpha)
    z = larger(x, bits(0xC829))
    n = fma(z, _LOG2E, _MAGIC)
    power = shifted_left(n, 10)
    n = subtract(n, _MAGIC)
    t = fma(n, _LN2_HIGH, z)
    p = multiply(fma(bits(0x315B), t, bits(0x3808)), t)
    t = multiply(t, power)
    power = fma(-power, minus_alpha, minus_alpha)
    e = fma(-fma(p, t, t), minus_alpha, power)
    return np.where(np.signbit(x), e, multiply(x, nearest_half(1)))


def leaky_relu(x: Array, slope: float) -> Array:
    """x, times `slope` where its sign bit is set."""
    return np.where(np.signbit(x), multiply(x, nearest_half(slope)), x)


def reciprocal_root(x: Array) -> Array:
    """1 / sqrt(x): an estimate and one Newton step (`f16-vrsqrt-neonfp16arith-rsqrt`)."""
    estimate = reciprocal_root_estimate(x)
    return multiply(estimate, reciprocal_root_step(x, multiply(estimate, estimate)))
