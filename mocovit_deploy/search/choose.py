"""Choose the fastest candidate that keeps the accuracy, and say why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from mocovit_deploy.search.candidate import Candidate


@dataclass(frozen=True)
class Choice:
    """The candidate to ship, and why."""

    candidate: Candidate | None
    """None if no candidate keeps the accuracy."""
    reason: str


def choose(candidates: Sequence[Candidate], max_drop: float) -> Choice:
    """The fastest candidate that passed parity and loses at most the share `max_drop`; the first of equals.

    A candidate without a time counts as slower than any with a time.
    """
    fit = [one for one in candidates if one.keeps(max_drop)]
    if not fit:
        return Choice(None, f"no file keeps accuracy within {points(max_drop)}: {_nearest(candidates)}")
    best = min(fit, key=_time)
    others = [one for one in fit if one is not best and one.modelled_ms is not None]
    bar = f"drop at most {points(max_drop)}" if best.drop_high is not None else "accuracy not judged"
    reason = f"{best.recipe} is the fastest of {len(fit)} that pass ({bar})"
    if others and best.modelled_ms is not None:
        second = min(others, key=_time)
        reason += f"; {_time(second) / _time(best) - 1:.0%} faster than {second.recipe}"
    quicker = [one.recipe for one in candidates if _time(one) < _time(best)]
    if quicker:
        reason += f"; faster but refused: {', '.join(dict.fromkeys(quicker))}"
    return Choice(best, reason)


def points(share: float) -> str:
    """A share in percent, with at most six digits, as in 0.5% or 0.001%."""
    return f"{share * 100:.6g}%"


def _time(one: Candidate) -> float:
    return inf if one.modelled_ms is None else one.modelled_ms


def _nearest(candidates: Sequence[Candidate]) -> str:
    judged = [one for one in candidates if one.passed and one.drop_high is not None]
    if not judged:
        return "none passes parity"
    best = min(judged, key=lambda one: one.drop_high if one.drop_high is not None else inf)
    return f"the nearest is {best.recipe} with up to {best.drop_high:.2%}"
