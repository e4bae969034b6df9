"""Run a file on its golden inputs and judge it: pass, fail, or not run, always with a reason."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import ConversionError, DeployError, ParityError, first_line
from mocovit_deploy.formats import Format, Predictor
from mocovit_deploy.parity.compare import Difference, compare_output
from mocovit_deploy.parity.decide import FAIL, NOT_RUN, PASS, Verdict, decide
from mocovit_deploy.parity.flips import flips
from mocovit_deploy.parity.task import TaskDifference, task_difference
from mocovit_deploy.parity.tolerance import MEANT_ARITHMETIC, MIXED, TOLERANCES, Tolerance


@dataclass(frozen=True)
class HiddenBranch:
    """Layers that the outputs hardly depend on, judged by their own values in the file."""

    module: str
    """The module of the last layer."""
    change: float
    """How much the outputs change without the branch, relative to their range."""
    modules: tuple[str, ...]
    """The modules of all its layers, in the order of execution."""
    verdict: Verdict
    reason: str


@dataclass(frozen=True, repr=False)
class ParityReport:
    """The verdict on one file, and the numbers that it rests on."""

    verdict: Verdict
    reason: str
    runtime: str
    arithmetic: str
    samples: tuple[str, ...]
    tolerance: Tolerance | None
    outputs: tuple[Difference, ...]
    not_run: str = ""
    """The arithmetic that the file is made for and that did not run, as in "fp16 arithmetic"; else empty."""
    flips: tuple[str, ...] = ()
    """Samples on which the file answers another class than the original, each as a line with its margin."""
    half: ParityReport | None = None
    """The check in half precision, if the file is made for it and the runtime here computes in fp32."""
    task: TaskDifference | None = None
    """How the file's answers differ from the original's, for a segmenter or a detector; else None."""
    hidden: tuple[HiddenBranch, ...] = ()
    """Branches in which a defect may change the outputs by less than the tolerance."""

    def as_json(self) -> dict[str, Any]:
        """Plain data for manifests and reports; infinities and NaN become None."""
        return without_nan(dataclasses.asdict(self))  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{self.verdict} in {self.runtime or 'no runtime'}: {self.reason}>"

    @property
    def decisive(self) -> ParityReport:
        """The check in the arithmetic that the file is made for, if that was run; else this report."""
        return self if self.half is None else self.half

    def summary(self) -> dict[str, Any]:
        """The verdict and its worst numbers, for a file's own metadata."""
        shown = self.decisive
        worst = [one.max_error for one in shown.outputs if one.finite]
        tolerance = None if shown.tolerance is None else shown.tolerance.max_error
        return {
            "verdict": self.verdict,
            "runtime": shown.runtime,
            "arithmetic": shown.arithmetic,
            "max_error_of_range": max(worst, default=None),
            "tolerance": tolerance,
        }


def check_predictor(artifact: Artifact, golden: Golden, predictor: Predictor) -> ParityReport:
    """Run every golden input through `predictor` and judge the outputs.

    Raises `ParityError` if the runtime fails, or returns other outputs than the golden file has.
    """
    found = predict_golden(artifact, golden, predictor)
    return judge_outputs(artifact, golden, found, predictor.runtime, predictor.arithmetic)


def check_file(exporter: Format, artifact: Artifact, golden: Golden) -> ParityReport:
    """Check a file in the runtime of its format, and also in the platform's own if that is another.

    Both must pass: returns the first report that does not pass, or else the platform's. Raises the errors of
    `check_predictor`, and `ConversionError` if the file cannot be loaded.
    """
    report = check_predictor(artifact, golden, _loaded(exporter, artifact))
    platform = exporter.load_platform(artifact) if report.verdict == PASS else None
    return report if platform is None else check_predictor(artifact, golden, platform)


def _loaded(exporter: Format, artifact: Artifact) -> Predictor:
    """The predictor. Any exception of a reader becomes a `ConversionError`."""
    try:
        return exporter.load(artifact)
    except (DeployError, ImportError, MemoryError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ConversionError(f"{artifact.path}: cannot be loaded ({reason})") from error


def predict_golden(artifact: Artifact, golden: Golden, predictor: Predictor) -> dict[str, Array]:
    """The outputs of a file for all golden inputs, each (samples, ...).

    A file with a free batch also runs all samples as one batch. For each output the worse of the two results
    is returned, so that the comparison sees an error of either.

    Raises `ParityError` if the runtime fails, or returns other outputs than the golden file has.
    """
    one_by_one = [
        _called(predictor, golden, {name: array[i] for name, array in golden.inputs.items()})
        for i in range(len(golden))
    ]
    alone = {name: _stacked([result[name] for result in one_by_one], name) for name in golden.outputs}
    if not artifact.dynamic_batch or not one_by_one:
        return alone
    together = _called(
        predictor, golden, {name: np.concatenate(list(array)) for name, array in golden.inputs.items()}
    )
    for name, array in alone.items():
        if together[name].size != array.size or array.shape != golden.outputs[name].shape:
            raise ParityError(f"output {name} of all samples at once has shape {together[name].shape}")
    batched = {name: together[name].reshape(alone[name].shape) for name in alone}

    def error(found: Mapping[str, Array], name: str) -> float:
        return float(np.abs(found[name].astype(np.float64) - golden.exact(name)).max())

    # With this comparison a NaN in the batched outputs counts as worse.
    return {
        name: alone[name] if error(batched, name) <= error(alone, name) else batched[name] for name in alone
    }


def _called(predictor: Predictor, golden: Golden, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs by name, which must be numbers. Any exception of a runtime becomes a `ParityError`."""
    try:
        found = predictor(inputs)
    except (DeployError, MemoryError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ParityError(
            f"{predictor.runtime} cannot run the file on its golden inputs ({reason})"
        ) from error
    for name in golden.outputs:
        if name not in found or np.asarray(found[name]).dtype.kind not in "biuf":
            raise ParityError(f"the file does not return numbers as output {name}, as its golden file does")
    return {name: np.asarray(found[name]) for name in golden.outputs}


def _stacked(arrays: list[Array], name: str) -> Array:
    if len({array.shape for array in arrays}) > 1:
        raise ParityError(f"the shape of output {name} changes from sample to sample")
    return np.stack(arrays) if arrays else np.zeros(0)


def judge_outputs(
    artifact: Artifact,
    golden: Golden,
    found: Mapping[str, Array],
    runtime: str,
    arithmetic: str,
    whole: Golden | None = None,
) -> ParityReport:
    """Judge outputs, each (samples, ...), that were computed here or elsewhere, such as on a phone.

    `whole` is the whole golden file, if `golden` holds only some of its samples; ranges are taken from it.
    Raises `ParityError` for outputs of another shape, because that is another network, and `UsageError` for a
    task in the manifest that does not fit them.
    """
    for name, expected in golden.outputs.items():
        if len(golden) and np.shape(found[name]) != expected.shape:
            raise ParityError(
                f"{artifact.path}: output {name} has shape {np.shape(found[name])}, but the golden file has "
                f"{expected.shape}"
            )
    outputs = differences(golden, found, whole) if len(golden) else ()
    key = (artifact.format, artifact.recipe, arithmetic)
    verdict, reason = decide(golden, outputs, key, tolerance := TOLERANCES.get(key), whole)
    missing = not_computed(artifact.recipe, arithmetic)
    return ParityReport(
        verdict=verdict,
        reason=reason,
        runtime=runtime,
        arithmetic=arithmetic,
        samples=golden.names,
        tolerance=tolerance,
        outputs=outputs,
        not_run=missing,
        flips=flips(golden, found) if len(golden) else (),
        task=task_difference(artifact.task, golden, found),
    )


def differences(
    golden: Golden, found: Mapping[str, Array], whole: Golden | None = None
) -> tuple[Difference, ...]:
    """The difference of every output to the original's, in float64 if the golden file has that.

    `whole` is the whole golden file, if `golden` holds only some of its samples; ranges are taken from it.
    Raises `KeyError` for an absent output, `ValueError` for one of another shape.
    """
    return tuple(
        compare_output(
            name,
            golden.exact(name),
            np.asarray(found[name]),
            single if name in golden.rounding else None,
            None if whole is None else whole.exact(name),
        )
        for name, single in golden.outputs.items()
    )


def with_hidden(report: ParityReport, hidden: tuple[HiddenBranch, ...]) -> ParityReport:
    """The report on a file that passed, with the verdicts on branches that its outputs hardly depend on.

    A branch that fails fails the file. A branch that could not be judged does not, but is reported.
    """
    wrong = next((one for one in hidden if one.verdict == FAIL), None)
    if wrong is not None:
        reason = (
            f"{wrong.reason}; the outputs hardly show it, as they change by {wrong.change:.1e} without it"
        )
        return dataclasses.replace(report, verdict=FAIL, reason=reason, hidden=hidden)
    return dataclasses.replace(report, hidden=hidden)


def retold(report: ParityReport, tell: Callable[[str], str]) -> ParityReport:
    """The report with every reason replaced by `tell(reason)`."""
    return dataclasses.replace(
        report,
        reason=tell(report.reason),
        half=report.half and retold(report.half, tell),
        hidden=tuple(dataclasses.replace(one, reason=tell(one.reason)) for one in report.hidden),
    )


def not_computed(recipe: str, arithmetic: str) -> str:
    """The arithmetic that `recipe` is made for and that did not run, as in "fp16 arithmetic"; else "".

    A file computed partly in fp16 ("mixed") ran as it does on hardware with fp16.
    """
    meant = MEANT_ARITHMETIC.get(recipe, arithmetic)
    missing = [one for one in meant.split(" and ") if one not in arithmetic.split(" and ")]
    return f"{' and '.join(missing)} arithmetic" if missing and arithmetic != MIXED else ""


def not_run(reason: str) -> ParityReport:
    """The report on a file that could not be executed."""
    return ParityReport(NOT_RUN, reason, "", "", (), None, ())


def without_nan(value: Any) -> Any:
    """Plain data with None for every NaN and infinity, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value
