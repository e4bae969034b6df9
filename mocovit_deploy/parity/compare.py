"""Compare two arrays, the original's and a file's. Nothing is judged here.

All numbers are computed in float64 over all samples together. With e the expected values, f the found ones:

    max_abs          max |e - f|
    max_error        max_abs / (max e - min e)
    rmse             sqrt(mean (e - f)^2)
    sqnr_db          10 log10( sum e^2 / sum (e - f)^2 )          infinite if they are equal
    varying_db       10 log10( sum (e - m)^2 / sum (e - f)^2 ), for the part that varies with the input: m is
                     the mean of e over the samples, 0 for a single sample
    cosine           <e, f> / (|e| |f|)
    liveliness       largest spread of one output element over the samples / (max e - min e)
    own_error        max |e - g| / (max e - min e), where g is the original's own float32 output
    top1_agreement   the share of rows whose largest element is at the same place (outputs of two axes)

An output that is the same on every sample is a constant: its errors are relative to max |e|.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mocovit_deploy.artifacts.artifact import Array


@dataclass(frozen=True)
class Difference:
    """How one output of a file differs from the original network's."""

    output: str
    finite: bool
    """Whether neither side holds NaN or infinity. If this is false, the other numbers are NaN."""
    max_abs: float
    max_error: float
    rmse: float
    sqnr_db: float
    varying_db: float
    cosine: float
    liveliness: float
    top1_agreement: float | None
    worst_sample: int
    own_error: float | None = None
    """The error of the original's own float32 output against its float64 one; None if that is not known."""
    constant: bool = False
    """Whether the original's output is the same on all samples, of which there are several."""


def compare_output(
    output: str, expected: Array, found: Array, single: Array | None = None, whole: Array | None = None
) -> Difference:
    """Compare one output over all samples; all are (samples, ...), of the same shape.

    `single` is the original's own float32 output, if `expected` is its float64 one.

    `whole` holds `expected` for more samples than these; range, liveliness and variation are taken from it.

    Raises `ValueError` if the shapes differ, because that is another network and not an error to measure.

    >>> found = compare_output("logits", np.array([[[0.0, 4.0]]]), np.array([[[0.0, 4.2]]]))
    >>> round(found.max_error, 3), round(found.sqnr_db), found.top1_agreement
    (0.05, 26, 1.0)
    """
    if expected.shape != found.shape:
        raise ValueError(f"output {output}: expected shape {expected.shape}, found {found.shape}")
    e, f = expected.astype(np.float64), found.astype(np.float64)
    if not (np.isfinite(e).all() and np.isfinite(f).all()) or e.size == 0:
        nan = float("nan")
        bad = ~np.isfinite(f).reshape(len(f), -1).all(axis=1) if len(f) else np.zeros(1)
        return Difference(output, False, nan, nan, nan, nan, nan, nan, nan, None, int(np.argmax(bad)))
    error = np.abs(e - f)
    every = e if whole is None else whole.astype(np.float64)
    constant = len(every) > 1 and bool((every == every[0]).all())
    magnitude = float(np.abs(every).max()) or 1.0
    spread = magnitude if constant else float(every.max() - every.min()) or magnitude
    noise, signal = float((error**2).sum()), float((e**2).sum())
    norms = float(np.linalg.norm(e) * np.linalg.norm(f))
    return Difference(
        output=output,
        finite=True,
        max_abs=float(error.max()),
        max_error=float(error.max()) / spread,
        rmse=float(np.sqrt((error**2).mean())),
        sqnr_db=_decibels(signal, noise),
        varying_db=_decibels(_varying(e, every, constant), noise),
        cosine=float((e * f).sum()) / norms if norms else float(noise == 0),
        liveliness=float((every.max(axis=0) - every.min(axis=0)).max()) / spread,
        top1_agreement=_top1_agreement(e, f),
        worst_sample=int(error.reshape(len(e), -1).max(axis=1).argmax()),
        own_error=None if single is None else float(np.abs(e - single).max()) / spread,
        constant=constant,
    )


def _varying(expected: Array, every: Array, constant: bool) -> float:
    """The energy of the part that varies between samples; all energy for a constant or a single sample.

    If `expected` holds only some samples of `every`, it is their share of the energy of all, because the
    distance of single samples from the mean says nothing about the file.
    """
    if constant or len(every) < 2:
        return float((expected**2).sum())
    return float(((every - every.mean(axis=0)) ** 2).sum()) * len(expected) / len(every)


def _decibels(signal: float, noise: float) -> float:
    if not noise:
        return float("inf")
    return 10 * float(np.log10(signal / noise)) if signal else float("-inf")


def _top1_agreement(expected: Array, found: Array) -> float | None:
    """The agreement of classifier outputs, (samples, batch, classes); None for any other shape."""
    if expected.ndim != 3 or expected.shape[-1] < 2:
        return None
    return float((expected.argmax(-1) == found.argmax(-1)).mean())
