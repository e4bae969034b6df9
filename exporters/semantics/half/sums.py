"""Products summed as XNNPACK's half-precision kernels sum them.

A kernel adds one product after the other to an fp16 accumulator that starts with the bias, in one instruction
(FMLA) that rounds once:

    acc = bias;   acc = fp16(acc + a0*b0);   acc = fp16(acc + a1*b1);   ...

Some kernels keep several accumulators ("lanes"), which are added at the end. So the order of the terms and
the number of lanes decide the result:

    gemm, igemm    rows > 2     one lane                          6x16-asm-aarch64-neonfp16arith-cortex-a75
                   rows <= 2    four lanes: every fourth term     1x16-asm-aarch64-neonfp16arith-ld64
    dwconv         taps <= 9    one lane                          3p16c, 4p16c, 9p16c
                   taps <= 25   two lanes: even and odd taps      25p8c-acc2

Terms of igemm run over the kernel's rows, its columns, then channels; taps of dwconv over columns, then rows.

`plain` sums are those of ONNX Runtime's kernels (MLAS): one lane always, taps of a depthwise convolution over
rows, then columns, and denormal numbers kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from exporters.semantics.half.arithmetic import SMALLEST, Half, add, flushed
from exporters.semantics.spatial import Index, shifts
from mocovit_deploy.artifacts.artifact import Array

_Place = TypeVar("_Place")

_TILE = 1 << 15
"""The number of sums computed at once: few enough to stay in a core's cache."""

FEW_ROWS = 2
"""Up to this number of rows XNNPACK takes the kernel for a single row (`xnn_get_heuristic_mr_gemm`)."""

_MAGNITUDE, _SMALLEST = np.uint16(0x7FFF), np.uint16(0x0400)
_MANTISSA_BITS, _ONE = np.uint16(10), np.uint16(1)

LARGEST_DEPTHWISE = 25
"""Taps of the largest kernel that dwconv takes; igemm takes larger ones."""


def product(
    left: Array,
    right: Array,
    bias: Array | None = None,
    *,
    run: int = 0,
    single_row: bool = False,
    plain: bool = False,
) -> Array:
    """left (*B, M, K) times right (*B, K, N), plus bias (N,): float16 -> float16 (*B, M, N).

    The K terms come in runs of length `run`, the channels of each tap of a kernel; lanes start again with
    each run. A `run` of 0 makes all terms one run. `single_row` takes the single-row kernel for any M.
    """
    rows, terms = left.shape[-2:]
    single_row |= rows <= FEW_ROWS
    lanes = _lanes(terms, run or terms) if single_row and not plain else np.zeros(terms, np.int64)
    kept = np.asarray if plain else flushed
    columns = right.shape[-1]
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    out = np.empty((*batch, rows, columns), Half)
    wide = kept(right).astype(np.float64)
    step = max(1, _TILE // (columns * max(1, int(np.prod(batch)))))
    for start in range(0, rows, step):
        block = np.moveaxis(kept(left[..., start : start + step, :]), -1, 0).astype(np.float64)
        shape = (*batch, block.shape[-1], columns)
        sums = [
            summed(
                ((block[k][..., None], wide[..., k, None, :]) for k in np.flatnonzero(lanes == lane)),
                shape,
                bias if lane == 0 else None,
                plain=plain,
            )
            for lane in range(int(lanes.max(initial=0)) + 1)
        ]
        out[..., start : start + step, :] = _together(sums)
    return out


def _lanes(terms: int, run: int) -> Array:
    """The accumulator of the single-row kernel that each term goes to: 0 1 2 3, and 0 1 0 at a run's end."""
    within = np.arange(terms) % run
    rest = within - run // 4 * 4  # from 0 to 2 for the last terms of a run, negative before
    return np.where(rest < 0, within % 4, np.where(rest < 2, rest, 0))


def by_column(kernel: Sequence[int], places: Sequence[_Place]) -> list[_Place]:
    """The taps of a kernel, given row by row, in the order of dwconv and of poolings: column by column."""
    rows, columns = kernel
    return [places[row * columns + column] for column in range(columns) for row in range(rows)]


def depthwise(
    x: Array,
    weight: Array,
    bias: Array | None,
    strides: Sequence[int],
    dilations: Sequence[int],
    out: tuple[int, ...],
    *,
    plain: bool = False,
) -> Array:
    """Padded x (N, C, H, W), weight (C, kh, kw) -> (N, C, *out), float16."""
    kept = np.asarray if plain else flushed
    rows, columns = weight.shape[1:]
    taps: list[tuple[Array, Array]] = []
    for index, seen in shifts(kept(x).astype(np.float64), (rows, columns), strides, dilations, out):
        tap: Index = (slice(None), *index)
        taps.append((seen, kept(weight[tap]).astype(np.float64)[:, None, None]))
    taps = taps if plain else by_column((rows, columns), taps)
    lanes = 2 if len(taps) > 9 and not plain else 1
    shape = (*x.shape[:2], *out)
    start = None if bias is None else bias[:, None, None]
    y = np.empty(shape, Half)
    step = max(1, _TILE // int(np.prod(out)))
    for channel in range(0, x.shape[1], step):
        part = slice(channel, channel + step)
        cut = [(seen[:, part], factor[part]) for seen, factor in taps]
        block = (shape[0], cut[0][1].shape[0], *out)
        sums = [
            summed(
                cut[lane::lanes], block, start[part] if start is not None and lane == 0 else None, plain=plain
            )
            for lane in range(lanes)
        ]
        y[:, part] = _together(sums)
    return y


def summed(
    terms: Iterable[tuple[Array, Array]], shape: tuple[int, ...], start: Array | None, *, plain: bool = False
) -> Array:
    """start + a0*b0 + a1*b1 + ..., flushed (unless `plain`) and rounded to fp16 after each term.

    Terms are float64 arrays of fp16 values.
    """
    accumulator = np.zeros(shape)
    half = np.zeros(shape, Half)
    if start is not None:
        half[...] = start if plain else flushed(start)
        accumulator[...] = half
    term = np.empty(shape)
    # Flushing by bit pattern, four times narrower than the sums: 0 where the exponent's bits are 0.
    pattern = half.view(np.uint16)
    magnitude, exponent = np.empty_like(pattern), np.empty_like(pattern)
    for a, b in terms:
        np.multiply(a, b, out=term)
        np.add(term, accumulator, out=term)
        half[...] = term
        if plain:
            accumulator[...] = half
            continue
        np.bitwise_and(pattern, _MAGNITUDE, out=magnitude)
        np.right_shift(magnitude, _MANTISSA_BITS, out=exponent)
        np.minimum(exponent, _ONE, out=exponent)
        np.multiply(pattern, exponent, out=pattern)
        risen = magnitude == _SMALLEST
        if risen.any():  # smaller sums may have rounded up to it, and the core flushes before it rounds
            half[risen & (np.abs(term) < SMALLEST)] = 0
        accumulator[...] = half
    return half


def _together(sums: list[Array]) -> Array:
    """The lanes' sum, in pairs: (0 + 1) + (2 + 3)."""
    while len(sums) > 1:
        sums = [add(sums[n], sums[n + 1]) for n in range(0, len(sums) - 1, 2)] + sums[len(sums) // 2 * 2 :]
    return sums[0]
