"""Text and table rows that the page and the card share."""

from __future__ import annotations

from mocovit_deploy.report.digits import signed, signed_between, within
from mocovit_deploy.report.facts import ExportFacts, FileFacts
from mocovit_deploy.report.order import share_bounds
from mocovit_deploy.terminal.table import megabytes

FILES = ("file", "size", "largest error", "allowed", "SQNR", "same class", "executed by", "verdict")
ACCURACY = ("file", "right", "original", "lost, points", "95 % interval", "same class")
RANGE = (
    "Largest error: the largest difference from the original network in float64, as a share of the span of "
    "its outputs. SQNR: signal to noise of the outputs in decibels, more is better. Same class: on how many "
    "samples file and original answer the same class."
)
DRAWN = "Derived from the files by known rules; nothing was run on a GPU or a Neural Engine."


FORMAT_NAMES = {"tflite": "TFLite", "onnx": "ONNX", "coreml": "Core ML"}


def title_of(facts: ExportFacts) -> str:
    """ "mocovit_1_0 as TFLite and ONNX"."""
    formats = [FORMAT_NAMES.get(one, one) for one in dict.fromkeys(one.format for one in facts.files)]
    listed = " and ".join(filter(None, (", ".join(formats[:-1]), *formats[-1:])))
    return f"{facts.model} as {listed}" if listed else facts.model


def file_row(one: FileFacts) -> tuple[str, ...]:
    """The cells of one file under `FILES`."""
    return (
        name_of(one),
        megabytes(one.size_bytes) if one.size_bytes else "-",
        _error(one),
        "-" if one.tolerance is None else f"{one.tolerance:.0e}",
        "-" if one.sqnr_db is None else f"{one.sqnr_db:.0f} dB",
        "-" if one.top1 is None else f"{round(one.top1 * one.samples)} of {one.samples}",
        f"{one.runtime}, {one.arithmetic}" if one.runtime else "-",
        verdict_of(one),
    )


def name_of(one: FileFacts) -> str:
    """The name of a file; "no tflite fp16 file" if it was not written."""
    return one.name or f"no {one.format} {one.recipe} file"


def verdict_of(one: FileFacts) -> str:
    """The verdict on a file, with its error or the arithmetic that was not run."""
    if one.error:
        return f"{one.verdict}; {one.error}" if one.verdict != "pass" else f"rejected; {one.error}"
    return f"{one.verdict}; {one.not_run} not run" if one.not_run else one.verdict


def accuracy_row(one: FileFacts) -> tuple[str, ...]:
    """The cells of one file under `ACCURACY`."""
    found = one.accuracy
    if found is None:
        return (name_of(one), *("not measured",), *("-",) * 4)
    return (
        one.name,
        _of_images(found.right, found.images),
        _of_images(found.original_right, found.images),
        signed(found.drop_points, found.low_points, found.high_points),
        signed_between(found.low_points, found.high_points),
        f"{round(found.agreement * found.images):,} of {found.images:,}",
    )


def _of_images(share: float, images: int) -> str:
    """How many images, and their share to the digits that its interval allows: "345 of 360, 96 %"."""
    count = round(share * images)
    low, high = share_bounds(count, images)
    return f"{count:,} of {images:,}, {within(100 * share, 100 * low, 100 * high)} %"


def _error(one: FileFacts) -> str:
    if one.max_error is not None:
        return f"{one.max_error:.1e}"
    return "not finite" if one.runtime else "-"
