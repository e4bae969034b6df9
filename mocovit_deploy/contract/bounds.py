"""The bounds that a contract may state. A new one is a function here and its entry in `METRICS`.

Every function takes the evidence on one file and returns the measured number with the runtime that computed
it; it does not judge. For each of them a test plants a defect that it must find.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from mocovit_deploy.accuracy.evaluate import NO_ANSWER, accuracy, evaluate
from mocovit_deploy.choices import FORMATS, RUNTIMES_OF
from mocovit_deploy.contract.evidence import Evidence
from mocovit_deploy.contract.metric import BYTES, COUNT, DECIBELS, ERROR, SHARE, Measured, Metric
from mocovit_deploy.errors import AccuracyError, ParityError, SlowerError, UsageError
from mocovit_deploy.parity.tolerance import LIVELINESS

TRANSPOSES = ("TRANSPOSE", "Transpose", "transpose")
BY_RUNTIME = tuple(sorted(RUNTIMES_OF))


def max_error(evidence: Evidence) -> Measured:
    """The largest absolute difference to the original over all samples, relative to the output's range."""
    worst = max(evidence.differences, key=lambda one: (not one.finite, one.max_error))
    lively = [one.liveliness for one in evidence.differences if not one.constant] or [0.0]
    return Measured(
        value=worst.max_error,
        by=evidence.ran_in,
        detail=f"{worst.output} on {evidence.golden.names[worst.worst_sample]}",
        constant=evidence.over_samples(min(lively) / LIVELINESS),
    )


def min_sqnr_db(evidence: Evidence) -> Measured:
    """The original's signal power over the power of the file's error, in decibels, for the worst output."""
    worst = min(evidence.differences, key=lambda one: (one.finite, one.sqnr_db))
    varying = [one.output for one in evidence.differences if not one.constant]
    still = [_sqnr_of_a_constant(evidence.golden.outputs[name]) for name in varying] or [float("inf")]
    return Measured(worst.sqnr_db, evidence.ran_in, worst.output, evidence.over_samples(max(still)))


def min_top1_agreement(evidence: Evidence) -> Measured:
    """The share of samples on which file and original answer the same class.

    Raises `UsageError` if no output holds classes.
    """
    judged = [one for one in evidence.differences if one.top1_agreement is not None or not one.finite]
    if not judged:
        raise UsageError("no output holds classes, (batch, classes); leave min_top1_agreement out")
    worst = min(judged, key=lambda one: -1.0 if one.top1_agreement is None else one.top1_agreement)
    value = float("nan") if worst.top1_agreement is None else worst.top1_agreement
    still = _agreement_of_a_constant(evidence.golden.outputs[worst.output])
    return Measured(value, evidence.ran_in, f"{len(evidence.golden)} samples", evidence.over_samples(still))


def min_accuracy(evidence: Evidence) -> Measured:
    """The share of the labelled images on which the file is right; NaN if it answered NaN on any of them."""
    lost = int((evidence.answers == NO_ANSWER).sum())
    value = float("nan") if lost else accuracy(evidence.labels, evidence.answers)
    return Measured(value, evidence.answered_in, _images(len(evidence.labels), lost))


def max_accuracy_drop(evidence: Evidence) -> Measured:
    """The upper end of the 95 % interval of the accuracy that the file loses against the original."""
    found = evaluate(evidence.labels, evidence.original_answers, evidence.answers)
    value = float("nan") if found.without_answer else found.drop.high
    detail = f"{found.drop.value:+.2%} on {_images(found.images, found.without_answer)}"
    return Measured(value, evidence.answered_in, f"{detail}; upper end of the 95 % interval")


def max_partitions(evidence: Evidence) -> Measured:
    """The partitions of XNNPACK: pieces of the graph that it runs, with the runtime's own kernels between."""
    found = evidence.partitions
    return Measured(found.count, evidence.profiled_in)


def max_outside_xnnpack(evidence: Evidence) -> Measured:
    """The number of operators that XNNPACK left to the runtime's own kernels."""
    found = evidence.partitions
    kinds = ", ".join(f"{one.count} {one.kind}" for one in found.outside)
    return Measured(sum(one.count for one in found.outside), evidence.profiled_in, kinds)


def max_outside_gpu(evidence: Evidence) -> Measured:
    """The number of operators that the GPU delegate will leave to the CPU, by its rules; nothing is run."""
    found = next(one for one in evidence.readiness if one.delegate == "GPU delegate")
    kinds = Counter(one.kind for one in found.outside)
    detail = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return Measured(len(found.outside), "rules of the GPU delegate", detail)


def max_operators(evidence: Evidence) -> Measured:
    """The number of operators in the file, without constants."""
    return Measured(len(evidence.operators), "the file")


def max_transposes(evidence: Evidence) -> Measured:
    """The number of operators in the file that transpose."""
    kinds = Counter(evidence.operators)
    return Measured(sum(kinds[kind] for kind in TRANSPOSES), "the file")


def max_size_bytes(evidence: Evidence) -> Measured:
    """The size of the file in bytes, or of everything in the package."""
    return Measured(evidence.size_bytes, "the file")


def instructions(evidence: Evidence) -> Measured:
    """The counted ARM instructions of one inference, which must be exactly the bound."""
    found = evidence.count
    return Measured(found.instructions, f"{evidence.counted_in}, {found.emulator}")


def max_instructions(evidence: Evidence) -> Measured:
    """The counted ARM instructions of one inference, which may be at most the bound."""
    return instructions(evidence)


METRICS = (
    Metric(
        measure=max_error,
        unit=ERROR,
        fails=ParityError,
        formats=FORMATS,
        of_outputs=True,
    ),
    Metric(
        measure=min_sqnr_db,
        unit=DECIBELS,
        fails=ParityError,
        formats=FORMATS,
        of_outputs=True,
    ),
    Metric(
        measure=min_top1_agreement,
        unit=SHARE,
        fails=ParityError,
        formats=FORMATS,
        of_outputs=True,
    ),
    Metric(
        measure=min_accuracy,
        unit=SHARE,
        fails=AccuracyError,
        formats=FORMATS,
        needs=("data",),
        targets=("host",),
    ),
    Metric(
        measure=max_accuracy_drop,
        unit=SHARE,
        fails=AccuracyError,
        formats=FORMATS,
        needs=("data",),
        targets=("host",),
    ),
    Metric(
        measure=max_partitions,
        unit=COUNT,
        fails=SlowerError,
        formats=("tflite",),
    ),
    Metric(
        measure=max_outside_xnnpack,
        unit=COUNT,
        fails=SlowerError,
        formats=("tflite",),
    ),
    Metric(
        measure=max_outside_gpu,
        unit=COUNT,
        fails=SlowerError,
        formats=("tflite",),
    ),
    Metric(
        measure=max_operators,
        unit=COUNT,
        fails=SlowerError,
        formats=FORMATS,
    ),
    Metric(
        measure=max_transposes,
        unit=COUNT,
        fails=SlowerError,
        formats=FORMATS,
    ),
    Metric(
        measure=max_size_bytes,
        unit=BYTES,
        fails=SlowerError,
        formats=FORMATS,
    ),
    Metric(
        measure=instructions,
        unit=COUNT,
        fails=SlowerError,
        formats=BY_RUNTIME,
        needs=("runtime", "cpu"),
    ),
    Metric(
        measure=max_instructions,
        unit=COUNT,
        fails=SlowerError,
        formats=BY_RUNTIME,
        needs=("runtime", "cpu"),
    ),
)


def metric_named(word: str) -> Metric:
    """The metric of a bound. Raises `StopIteration` for an unknown one; `read` refuses those first."""
    return next(metric for metric in METRICS if metric.word == word)


def _images(count: int, without_answer: int) -> str:
    return f"{count} images" + (f", NaN or infinity on {without_answer}" if without_answer else "")


def _sqnr_of_a_constant(expected: np.ndarray) -> float:
    """SQNR in dB of the best output that never changes, the mean over the samples of (samples, ...)."""
    wide = expected.astype(np.float64)
    noise, signal = float(((wide - wide.mean(axis=0)) ** 2).sum()), float((wide**2).sum())
    return float("inf") if not noise else 10 * float(np.log10(signal / noise))


def _agreement_of_a_constant(expected: np.ndarray) -> float:
    """Top-1 agreement of the best answer that never changes; `expected` is (samples, batch, classes)."""
    answers = expected.argmax(axis=-1)
    common = [Counter(column.tolist()).most_common(1)[0][1] for column in answers.T]
    return sum(common) / int(answers.size)
