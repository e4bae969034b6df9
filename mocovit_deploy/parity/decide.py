"""Decide a verdict from differences: pass, fail, or not run, always with a reason.

    error <= tolerance                          pass
    error <= multiple of torch's own error      pass, with a note; not run if torch's own error is too large
    otherwise                                   fail
    quantized files                             also the error against the part that varies with the input,
                                                in dB

Errors are to the float64 original, relative to the output's range. Every output must also vary with the
input, or be a constant of the network beside outputs that vary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.parity.compare import Difference
from mocovit_deploy.parity.tolerance import LIVELINESS, ONE_ROUNDING, OWN_ROUNDING, Tolerance


class Verdict(StrEnum):
    """The result of checking a file, a layer or a bound."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    NOT_RUN = "not run"
    """The check could not be made, so it did not pass."""


PASS, FAIL, NOT_RUN = Verdict.PASS, Verdict.FAIL, Verdict.NOT_RUN


class Decision(NamedTuple):
    """A verdict and its reason."""

    verdict: Verdict
    reason: str


def decide(
    golden: Golden,
    outputs: Sequence[Difference],
    key: tuple[str, str, str],
    tolerance: Tolerance | None,
    whole: Golden | None = None,
) -> Decision:
    """The verdict on a file and the reason.

    `key` is the file's format, its recipe, and the arithmetic that ran; `tolerance` is None if there is none
    for it. `whole` is the whole golden file, if `golden` holds only some of its samples.
    """
    if not outputs or not len(golden):
        return Decision(NOT_RUN, "the golden file holds nothing to compare")
    if tolerance is None:
        return Decision(NOT_RUN, f"no tolerance for {key[0]} {key[1]} computed in {key[2]}")
    if why := _first(_why_wrong(one, golden, tolerance) for one in outputs):
        return Decision(FAIL, why)
    if why := _first(_why_uncertain(one, tolerance) for one in outputs):
        return Decision(NOT_RUN, why)
    if tolerance.min_varying_db is not None:
        return _decide_quantized(outputs, tolerance, tolerance.min_varying_db)
    varying = [one for one in outputs if not one.constant] or outputs
    if why := _first(_why_nothing(one, whole or golden, allowed_error(one, tolerance)) for one in varying):
        return Decision(NOT_RUN, why)
    return Decision(PASS, _words(outputs, tolerance))


def _decide_quantized(outputs: Sequence[Difference], tolerance: Tolerance, least_db: float) -> Decision:
    """The verdict on outputs whose largest error is within the tolerance, by the noise in their varying part.

    An output that hardly depends on the input has a small varying part, and does not pass. A single sample
    has no varying part; then the whole output is used.
    """
    for one in outputs:
        if not one.varying_db >= least_db:
            return Decision(
                FAIL,
                f"the error of {one.output} is too large against the part that varies with the input: "
                f"{one.varying_db:.1f} dB, at least {least_db:.1f} dB are needed",
            )
    worst_db = min(one.varying_db for one in outputs)
    agreed = [one.top1_agreement for one in outputs if one.top1_agreement is not None]
    return Decision(
        PASS,
        f"the part that varies with the input is {worst_db:.1f} dB above the error, at least {least_db:.1f} "
        "dB are needed; "
        f"{_words(outputs, tolerance)}{f'; top-1 agreement {min(agreed):.0%}' if agreed else ''}",
    )


def allowed_error(one: Difference, tolerance: Tolerance) -> float:
    """The largest error that passes for this output, relative to its range."""
    if by_own_rounding(one, tolerance):
        return OWN_ROUNDING.multiple * (one.own_error or 0.0)
    return tolerance.max_error


def by_own_rounding(one: Difference, tolerance: Tolerance) -> bool:
    """Whether the output is over the tolerance, but within a multiple of the original's own float32 error."""
    own = one.own_error
    return own is not None and tolerance.max_error < one.max_error <= OWN_ROUNDING.multiple * own


def _why_wrong(one: Difference, golden: Golden, tolerance: Tolerance) -> str:
    sample = golden.names[one.worst_sample]
    if not one.finite:
        return f"{one.output} is NaN or infinite on {sample}"
    if one.max_error <= allowed_error(one, tolerance):
        return ""
    whose = "magnitude" if one.constant else "range"
    own = "" if one.own_error is None else f"; torch's own float32 error is {one.own_error:.1e}"
    if one.own_error is not None and one.own_error > OWN_ROUNDING.uncertain:
        own = f"; {_uncertain(one)}"
    return (
        f"{one.output} is off by {one.max_error:.1e} of its {whose} on {sample}, "
        f"the tolerance is {tolerance.max_error:.0e}{own}"
    )


def _why_uncertain(one: Difference, tolerance: Tolerance) -> str:
    if not by_own_rounding(one, tolerance) or (one.own_error or 0.0) <= OWN_ROUNDING.uncertain:
        return ""
    return _uncertain(one)


def _uncertain(one: Difference) -> str:
    own = one.own_error or 0.0
    return (
        f"the network's own float32 output is uncertain by {own:.1e} of the range of {one.output}, as it "
        f"multiplies a rounding of 2^-24 by {own / ONE_ROUNDING:,.0f}, so its files cannot be judged; give "
        "trained weights (--checkpoint)"
    )


def _why_nothing(one: Difference, golden: Golden, bound: float) -> str:
    """Why a comparison of this output would prove nothing; empty if it proves something."""
    if len(golden) < 2 or one.liveliness >= LIVELINESS * bound:
        return ""
    return (
        f"{one.output} hardly depends on the input (it varies by {one.liveliness:.1e} of its range), "
        f"so a comparison would prove nothing; check the weights{_fault(golden)}"
    )


def _fault(golden: Golden) -> str:
    """A hint if integers among the example inputs are all the same number; else empty."""
    still = [
        f"{name} holds only {array.flat[0]}"
        for name, array in golden.inputs.items()
        if array.dtype.kind in "biu" and array.size > 1 and (array == array.flat[0]).all()
    ]
    if not still:
        return ""
    return (
        f", or give example inputs with different integers: {' and '.join(still)}, and samples take their "
        "integers from the example"
    )


def _words(outputs: Sequence[Difference], tolerance: Tolerance) -> str:
    worst = max(outputs, key=lambda one: one.max_error)
    own = "" if worst.own_error is None else f", torch's own float32 {worst.own_error:.1e}"
    text = f"max error {worst.max_error:.1e} of the output range{own}, tolerance {tolerance.max_error:.0e}"
    if any(by_own_rounding(one, tolerance) for one in outputs):
        text += f": within {OWN_ROUNDING.multiple:.0f} times torch's own error"
    if constants := [one.output for one in outputs if one.constant]:
        text += f"; {', '.join(constants)} judged as constant"
    return text


def _first(reasons: Iterable[str]) -> str:
    return next((reason for reason in reasons if reason), "")
