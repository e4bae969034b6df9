"""Run fp16 files in half precision, which the runtime here computes in fp32.

    core         the real aarch64 runtime on an emulated Cortex-A76, if `mocovit-bench emulator` and
                 `mocovit-bench bundle` have installed it
    reference    numpy, anywhere (docs/half.md compares the two)

The core is used if it is installed and one inference on it takes at most `LONGEST_S`; else the reference.
`MOCOVIT_HALF=core` or `=reference` demands one of them. Both are slow, so each runs as many golden samples as
fit into `BUDGET_S`, but at least one, and at most two on the core. Ranges are those of all samples.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import DeployError, ParityError, UsageError, unknown_choice
from mocovit_deploy.formats import Format, HalfPredictor
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.parity.tolerance import MIXED
from mocovit_deploy.parity.verdict import ParityReport, judge_outputs, not_run, predict_golden
from mocovit_deploy.targets import RunConditions, counting_target

VARIABLE = "MOCOVIT_HALF"
AUTO, CORE, REFERENCE = "auto", "core", "reference"

BUDGET_S = 20.0
"""Seconds that the check of one file may take on a usual machine before it runs fewer samples."""
LONGEST_S = 60.0
"""Seconds. A file whose check with one sample would take longer on the core is left to the reference."""
MOST_ON_THE_CORE = 2
"""The most samples on the core: a photograph and random numbers."""
_START_S = 3.0
"""Seconds that an emulated run takes before its first inference."""
_EMULATED_S, _REFERENCE_S = 35e-9, 11e-9
"""Seconds for each multiply-accumulate, measured with `mocovit_1_0` on one idle core."""
_PATIENCE = 10.0
"""How many times the expected time an emulated run may take."""

_CORE_NAME = "an emulated Cortex-A76"
_MOST_TENSORS = 64
"""MAX_TENSORS of benchmarks/native/bench.h."""


@dataclass(frozen=True)
class _Chosen:
    """The golden samples that are run, and all of them."""

    some: Golden
    whole: Golden


def needs_half(report: ParityReport) -> bool:
    """Whether a file that is made for fp16 passed without being computed in fp16."""
    return report.verdict == PASS and report.half is None and report.not_run == "fp16 arithmetic"


def with_half(report: ParityReport, half: ParityReport) -> ParityReport:
    """`report` with the check in half precision, whose verdict replaces its own."""
    return replace(report, verdict=half.verdict, reason=half.reason, not_run="", half=half)


def check_half(exporter: Format, artifact: Artifact, golden: Golden) -> ParityReport | None:
    """Check a file in half precision on the emulated core, or else in the reference.

    None if neither can run it; the reference has no int8. Raises `ConversionError` for a file that cannot be
    read, and the errors of `check_on_the_core`.
    """
    predictor = exporter.load_half(artifact)
    assert predictor is not None, "only formats that have a half reference get here"
    found = check_on_the_core(artifact, golden, predictor.macs)
    if found is None and artifact.quantization is None:
        return check_in_reference(artifact, golden, predictor)
    return found


def check_on_the_core(artifact: Artifact, golden: Golden, macs: int) -> ParityReport | None:
    """Check a file on the emulated core; None if the core is not installed, fails, or would take too long.

    If the runtime there refuses the file or crashes on it, the report is "not run". `macs` are the
    multiply-accumulates of one inference, from which the time is estimated. Nothing is downloaded or built.
    Raises `UsageError` for an unknown value of `MOCOVIT_HALF`. If the value is "core", raises
    `MissingToolError` if the core is not installed, and the target's error if it fails.
    """
    asked = os.environ.get(VARIABLE) or AUTO
    if asked not in (AUTO, CORE, REFERENCE):
        raise unknown_choice(VARIABLE, asked, (AUTO, CORE, REFERENCE))
    if asked == REFERENCE:
        return None
    if asked == AUTO and (not _served(artifact) or _expected_s(macs, 1) > LONGEST_S):
        return None
    count = max(n for n in range(1, MOST_ON_THE_CORE + 1) if n == 1 or _expected_s(macs, n) <= BUDGET_S)
    chosen = _choose(golden, count)
    deadline_s = max(LONGEST_S, _PATIENCE * _expected_s(macs, count))
    conditions = RunConditions(deadline_s=deadline_s, fetch=False)
    try:
        run = counting_target().run_golden(artifact, chosen.some, conditions)
    except (ParityError, UsageError) as error:
        return not_run(f"fp16 arithmetic on {_CORE_NAME}: {error}")
    except (DeployError, OSError):
        if asked == CORE:
            raise
        return None
    where = f"{run.runtime} on {_CORE_NAME}"
    found = judge_outputs(artifact, chosen.some, run.outputs, where, run.arithmetic, chosen.whole)
    return replace(found, reason=f"{_words(run.arithmetic)} on {_CORE_NAME}: {found.reason}")


def _served(artifact: Artifact) -> bool:
    """Whether the program that runs files on the core can pass this file's tensors."""
    sides = (artifact.inputs, artifact.outputs)
    return not artifact.dynamic_batch and all(len(side) <= _MOST_TENSORS for side in sides)


def _expected_s(macs: int, samples: int) -> float:
    """The seconds that a check takes on the core. One more inference tells the profiler which kernels ran."""
    return _START_S + macs * _EMULATED_S * (samples + 1)


def check_in_reference(artifact: Artifact, golden: Golden, predictor: HalfPredictor) -> ParityReport:
    """Check a file with numpy; "not run" if the reference lacks an operator, whose name is the reason."""
    try:
        return _judged(artifact, golden, predictor)
    except ParityError as error:
        return not_run(f"fp16 arithmetic in the numpy reference: {error}")


def _judged(artifact: Artifact, golden: Golden, predictor: HalfPredictor) -> ParityReport:
    each_s = predictor.macs * _REFERENCE_S * (2 if artifact.dynamic_batch else 1)
    chosen = _choose(golden, int(BUDGET_S / max(each_s, 1e-3)))
    outputs = predict_golden(artifact, chosen.some, predictor)
    found = judge_outputs(
        artifact, chosen.some, outputs, predictor.runtime, predictor.arithmetic, chosen.whole
    )
    return replace(found, reason=f"{_words(predictor.arithmetic)} in the {predictor.runtime}: {found.reason}")


def _words(arithmetic: str) -> str:
    return "fp16 and fp32 arithmetic" if arithmetic == MIXED else f"{arithmetic} arithmetic"


def _choose(golden: Golden, affordable: int) -> _Chosen:
    """`affordable` samples, evenly spread, at least one; with two or more the last sample is among them."""
    count = min(len(golden), max(1, affordable))
    places = np.linspace(0, len(golden) - 1, count).round()
    return _Chosen(golden.some([int(place) for place in places]), golden)
