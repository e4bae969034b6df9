"""Describe how a value is wrong, as a hint at the cause.

Each detector compares one layer's expected and found values, (samples, N, C, ...), and returns a description
or nothing. The first match wins. If a layer is judged alone, the file computed the found values from right
inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.terminal.table import shortened

MISPLACED = "the right numbers in wrong places: wrong layout"
HALF_MAX = 65504.0
"""The largest float16 number."""
HALF_TINY = 2.0**-24
"""The smallest positive float16 number."""
STUCK = 8
"""How many values at least must stop at a bound to be called saturated."""


def kind_of(expected: Array, found: Array, bound: float) -> str:
    """A description of what is wrong with `found`; empty if no detector matches.

    `bound` is the largest error, relative to the range of `expected`, that counts as right.
    """
    with np.errstate(all="ignore"):
        e, f = expected.astype(np.float64), found.astype(np.float64)
        spread = float(e.max() - e.min()) or float(np.abs(e).max()) or 1.0
        for detect in DETECTORS:
            if words := detect(e, f, bound * spread):
                return words
    return ""


def misplaced(expected: Array, found: Array, bound: float) -> bool:
    """Whether `found` holds the right numbers in wrong places. `bound` is as in `kind_of`."""
    e, f = expected.astype(np.float64), found.astype(np.float64)
    spread = float(e.max() - e.min()) or float(np.abs(e).max()) or 1.0
    return bool(_same_numbers(e, f, bound * spread))


def gain_of_sorting(expected: Array, found: Array) -> float:
    """How many times the largest error shrinks if both arrays are sorted first; 1 if there is no error."""
    e, f = expected.astype(np.float64), found.astype(np.float64)
    error = float(np.abs(e - f).max(initial=0.0))
    left = float(np.abs(np.sort(e, axis=None) - np.sort(f, axis=None)).max(initial=0.0))
    return error / left if left else float("inf") if error else 1.0


def _near(a: Array, b: Array, room: float) -> bool:
    return bool(np.abs(a - b).max(initial=0.0) <= room)


def _not_finite(e: Array, f: Array, room: float) -> str:
    if np.isnan(f).any():
        return f"NaN arises here ({np.isnan(f).mean():.1%} of the values)"
    if np.isinf(f).any():
        largest = f"; the original reaches {np.abs(e).max():.3g}"
        return f"overflow to infinity ({np.isinf(f).mean():.1%} of the values{largest})"
    return ""


def _zeros(e: Array, f: Array, room: float) -> str:
    gone = (f == 0) & (np.abs(e) > 0)
    if f.size and not f.any():
        return "all zero"
    tiny = gone & (np.abs(e) < HALF_TINY)
    if tiny.any() and _near(np.where(gone, e, f), e, room):
        return f"underflow to zero ({gone.mean():.1%} of the values)"
    return ""


def _relu(e: Array, f: Array, room: float) -> str:
    if e.min() >= 0 and f.min() < -room and _near(np.maximum(f, 0), e, room):
        return "a ReLU is missing"
    if f.min() >= 0 and e.min() < -room and _near(np.maximum(e, 0), f, room):
        return "there is one ReLU too many"
    return ""


def _saturated(e: Array, f: Array, room: float) -> str:
    """Whether values stop at a bound that the original exceeds."""
    for edge, beyond, side in ((f.max(), e > f.max(), "above"), (f.min(), e < f.min(), "below")):
        stuck = np.isclose(f, edge, rtol=0, atol=max(room * 1e-3, 1e-12))
        if (stuck & beyond).sum() >= max(STUCK, 0.9 * beyond.sum()):
            return f"saturated at {edge:.4g}; {beyond.mean():.1%} of the original's values are {side} it"
    return ""


def _scaled(e: Array, f: Array, room: float) -> str:
    power = float((e * e).sum())
    factor = float((e * f).sum()) / power if power else 1.0
    if _near(f, factor * e, room):
        return f"scaled by {factor:.6g}"
    shift = float((f - e).mean())
    return f"shifted by {shift:.4g}" if _near(f, e + shift, room) else ""


def _channels(e: Array, f: Array, room: float) -> str:
    """Which channels (axis 1 of a value) are wrong, and whether each has one shift or one factor."""
    if e.ndim < 3 or e.shape[2] < 2:
        return ""
    width = e.shape[2]
    rows_e, rows_f = (np.moveaxis(a, 2, 0).reshape(width, -1) for a in (e, f))
    wrong = np.flatnonzero(np.abs(rows_e - rows_f).max(axis=1) > room)
    if not len(wrong):
        return ""
    swapped = _swapped(rows_e, rows_f, wrong, room)
    if swapped:
        return swapped
    which = _listed(wrong, width)
    if rows_e.shape[1] > 2 and (how := _how(rows_e[wrong], rows_f[wrong], room)):
        return f"{which} {how}"
    return f"{which} wrong, the others right" if len(wrong) < width else ""


def _how(e: Array, f: Array, room: float) -> str:
    """How every channel was changed, if all were changed alike; each row of `e` and `f` is a channel."""
    difference = f - e
    if _near(difference, difference.mean(axis=1, keepdims=True), room):
        return "shifted, each by one number (a bias)"
    power = (e * e).sum(axis=1, keepdims=True)
    if _near(f, (e * f).sum(axis=1, keepdims=True) / np.where(power, power, 1) * e, room):
        return "scaled, each by one factor"
    centred_e, centred_f = (a - a.mean(axis=1, keepdims=True) for a in (e, f))
    power = (centred_e * centred_e).sum(axis=1, keepdims=True)
    slope = (centred_e * centred_f).sum(axis=1, keepdims=True) / np.where(power, power, 1)
    if _near(centred_f, slope * centred_e, room):
        return "scaled and shifted, each by its own numbers (a BatchNorm folded differently)"
    return ""


def _swapped(rows_e: Array, rows_f: Array, wrong: Array, room: float) -> str:
    """Whether the wrong channels are right ones in other places."""
    if len(wrong) < 2:
        return ""
    order = []
    for channel in wrong:
        distances = np.abs(rows_e[wrong] - rows_f[channel]).max(axis=1)
        closest = int(distances.argmin())
        if not distances[closest] <= room:
            return ""
        order.append(int(wrong[closest]))
    return f"{_listed(wrong, len(rows_e))} in another order" if sorted(order) == list(wrong) else ""


def _same_numbers(e: Array, f: Array, room: float) -> str:
    if _near(np.sort(e, axis=None), np.sort(f, axis=None), room):
        return MISPLACED
    return ""


def _listed(channels: Array, width: int) -> str:
    if len(channels) == width:
        return f"all {width} channels"
    shown = shortened([str(channel) for channel in channels], 4)
    return f"channel{'s' if len(channels) > 1 else ''} {shown} of {width}"


DETECTORS: tuple[Callable[[Array, Array, float], str], ...] = (
    _not_finite,
    _zeros,
    _relu,
    _saturated,
    _scaled,
    _channels,
    _same_numbers,
)
