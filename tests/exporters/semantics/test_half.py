"""The half-precision instructions and sums, against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from exporters.semantics.half import arithmetic as half
from exporters.semantics.half import reductions, sums
from exporters.semantics.half.arithmetic import Half

RNG = np.random.default_rng(3)


def to_half(exact: Fraction) -> float:
    """The nearest fp16 number, ties to even; 0 below 2^-14 and infinity beyond the largest."""
    if abs(exact) < Fraction(1, 2**14):
        return 0.0
    exponent = 0
    while abs(exact) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while abs(exact) < Fraction(2) ** exponent:
        exponent -= 1
    step = Fraction(2) ** (exponent - 10)
    rounded = round(exact / step) * step
    return float(rounded) if abs(rounded) < 65520 else math.copysign(math.inf, rounded)


def numbers(count: int, low: int, high: int) -> np.ndarray:
    """fp16 numbers of both signs with exponents from low to high."""
    return (RNG.standard_normal(count) * 2.0 ** RNG.integers(low, high, count)).astype(Half)


@pytest.mark.parametrize(("low", "high"), [(-4, 4), (-14, -8), (4, 14)])
def test_fma_rounds_once(low: int, high: int) -> None:
    a, b, c = (numbers(500, low, high) for _ in range(3))
    with np.errstate(over="ignore"):
        c[:100] = (-a[:100].astype(np.float32) * b[:100]).astype(Half)  # what nearly cancels
    with np.errstate(over="ignore"):
        found = half.fma(a, b, c)
    for x, y, z, f in zip(*(half.flushed(side).tolist() for side in (a, b, c)), found.tolist(), strict=True):
        if np.isfinite(z):
            assert f == to_half(Fraction(x) * Fraction(y) + Fraction(z))


def test_what_is_no_normal_number_is_zero() -> None:
    tiny = half.bits(0x0001)
    assert half.add(tiny, tiny) == 0
    assert half.multiply(np.array([Half(2.0**-8)]), Half(2.0**-8)) == 0
    assert half.multiply(np.array([Half(2.0**-7)]), Half(2.0**-7)) == Half(2.0**-14)
    # Flushed before rounding: just below 2^-14, rounded it would be 2^-14.
    assert half.multiply(Half(1 - 2.0**-11), Half(2.0**-14 * (1 + 2.0**-10))) == Half(2.0**-14)
    assert half.multiply(Half(1 - 2.0**-11), Half(2.0**-14)) == 0


def test_estimates_have_eight_bits() -> None:
    x = np.abs(numbers(2000, -6, 6))
    x = x[x > 2.0**-12]
    assert np.max(np.abs(half.reciprocal_estimate(x).astype(np.float64) * x - 1)) < 2.0**-8
    assert (
        np.max(np.abs(half.reciprocal_root_estimate(x).astype(np.float64) * np.sqrt(x.astype(float)) - 1))
        < 2.0**-8
    )
    assert np.isinf(half.reciprocal_estimate(np.array([0], Half))).all()
    assert np.isnan(half.reciprocal_root_estimate(np.array([-1], Half))).all()


def test_a_product_rounds_after_every_term() -> None:
    left, right, bias = (
        numbers(3 * 40, -2, 2).reshape(3, 40),
        numbers(40 * 2, -2, 2).reshape(40, 2),
        numbers(2, 0, 1),
    )
    found = sums.product(left, right, bias)
    for row in range(3):
        for column in range(2):
            acc = Fraction(float(bias[column]))
            for k in range(40):
                acc = Fraction(
                    to_half(acc + Fraction(float(left[row, k])) * Fraction(float(right[k, column])))
                )
            assert float(found[row, column]) == float(acc)


def test_one_row_is_summed_in_four_lanes() -> None:
    """2048 + 1 is 2048 in fp16: a single accumulator loses every later one, four lanes keep three."""
    left = np.ones((1, 8), Half)
    right = np.array([[2048], [1], [1], [1], [0], [0], [0], [0]], Half)
    assert sums.product(left, right)[0, 0] == 2048 + 1 + 2 - 1  # (2048 + 1) + (1 + 1), rounded to 2050
    assert sums.product(np.ones((3, 8), Half), right)[0, 0] == 2048


def test_sums_overflow_as_they_go() -> None:
    left, right = np.ones((3, 3), Half), np.array([[65504], [65504], [-65504]], Half)
    with np.errstate(over="ignore"):
        assert np.isinf(sums.product(left, right)).all()


def test_means_accumulate_in_float32() -> None:
    x = np.full((1, 4096), Half(60000))
    assert reductions.total(x, (1,), 1 / 4096)[0, 0] == Half(60000)
    with np.errstate(over="ignore"):
        assert np.isinf(reductions.total(x, (1,)))
        pooled = reductions.average_pool(
            np.full((1, 1, 2, 2), Half(60000)), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1)
        )
    assert np.isinf(pooled).all()  # pooling does not
