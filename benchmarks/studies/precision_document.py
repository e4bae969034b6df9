"""docs/accuracy.md, from the results of the study `precision`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from benchmarks.studies.study import commits_of, missing_rows
from mocovit_deploy.quantization.recipes import RECIPES
from mocovit_deploy.terminal.table import markdown_table, megabytes

BARS = {"fp16": 0.3, "auto": 0.7, "static_wi8_ai8": 1.0, "static_wi8_ai8_fp16": 1.0}
"""By recipe of TFLite files: the most percentage points that the drop's 95 % interval may reach."""
BARS_MS = {
    "mocovit_1_0": 6.0,
    "ghostnet_100": 5.6,
    "mobilenetv3_large_100": 6.3,
    "mobilevit_xxs": 13.7,
    "efficientvit_b0": 4.2,
    "efficientvit_b1": 14.5,
    "efficientnet_b0": 11.4,
}
"""By full-size network: the most modelled milliseconds that its chosen file may take."""
TITLES = {"tflite": "TFLite", "onnx": "ONNX", "coreml": "Core ML", "auto": "TFLite", "stock": "stock TFLite"}
ACCURACY = ("network", "file", "right", "drop, 95 %", "agreement", "SQNR", "modelled", "partitions", "size")
COUNTS = ("network", *(recipe for recipe in ("fp32", "fp16", "static_wi8_ai8", "static_wi8_ai8_fp16")))
INTRODUCTION = """\
# Accuracy

What each precision is worth, by one command: `make precision`.

Networks are trained on digits over photographs (`examples/digits`). Ranges come
from 128 training images ([precision.md](precision.md)); files are judged on all 5,579 held-out images (Core
ML, run by a numpy reference: on the first 400, and the interval is wide). *Drop* is accuracy lost against the
network on the same images, in points, with its 95 % interval. Times are modelled for a Snapdragon 855 from
counts of LiteRT 2.3.0 on the emulated Cortex-A76, not measured on a phone ([counting.md](counting.md)).
"""
STOCK_TEXT = """\
Stock is litert-torch with its own defaults, and ai-edge-quantizer's static recipe on that file with the same
calibration images, with either rule for weights that takes activations too. A file that XNNPACK refuses was
judged in TFLite's own kernels, and has no time.
"""
HALF_TEXT = """\
LiteRT on x86-64 computes fp16 files in fp32. The images whose two largest logits are nearest were run again
in the numpy reference of half precision ([half.md](half.md)). Where that moved no difference of two logits by
as much as the smallest margin among the others, the others are taken to keep their classes.
"""


class Row(Protocol):
    """The parts of a row that the document uses."""

    @property
    def model(self) -> str: ...
    @property
    def made(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def slug(self) -> str: ...


Results = Mapping[Any, Mapping[str, Any]]


def document(rows: Sequence[Row], done: Results) -> str:
    """The document. It names missing rows, rows that failed, and limits that are exceeded."""
    lines = [INTRODUCTION, *missing_rows(rows, done)]
    lines += [
        "## Trained networks, our files",
        "",
        markdown_table(ACCURACY, _accuracy(done, stock=False)),
        "",
    ]
    lines += ["## The same, stock", "", STOCK_TEXT, markdown_table(ACCURACY, _accuracy(done, stock=True)), ""]
    lines += [*_chosen(done), *_half(done)]
    lines += ["## Full size, random weights", "", "Modelled milliseconds, and partitions in brackets.", ""]
    header = (*COUNTS, "mixed", "bar", "stock fp32", "stock fp16", "stock int8")
    lines += [markdown_table(header, _counts(rows, done)), ""]
    lines += ["## What falls short", "", *_short(done), ""]
    return "\n".join([*lines, commits_of(done), ""])


def _files(done: Results, kind: str) -> Iterator[tuple[Row, Mapping[str, Any]]]:
    for row, result in done.items():
        if row.kind == kind:
            for file in result["files"]:
                yield row, file


def _accuracy(done: Results, *, stock: bool) -> Iterator[Sequence[str]]:
    for row, file in _files(done, "digits"):
        if (row.made == "stock") is not stock:
            continue
        name = f"{TITLES[row.made]} {'auto: ' if row.made == 'auto' else ''}`{file['recipe']}`"
        if file["error"]:
            yield (row.title, name, str(file["error"]), *[""] * (len(ACCURACY) - 3))
            continue
        counted = file.get("counted") or {}
        sqnr = file.get("sqnr_db")
        yield (
            row.title,
            name,
            f"{file['accuracy']:.2%}",
            _drop(file),
            f"{file['agreement']:.2%}",
            "-" if sqnr is None else f"{sqnr:.0f} dB",
            *_time(counted, file.get("refused")),
            megabytes(file["size_bytes"]),
        )


def _drop(file: Mapping[str, Any]) -> str:
    return f"{100 * file['drop']:+.2f} ({100 * file['drop_low']:+.2f} to {100 * file['drop_high']:+.2f})"


def _time(counted: Mapping[str, Any], refused: str | None) -> tuple[str, str]:
    if refused:
        return ("does not load", "-")
    if "modelled_ms" not in counted:
        return ("-", "-")
    return (f"{counted['modelled_ms']:.2f} ms", str(counted["partitions"]))


def _chosen(done: Results) -> list[str]:
    """By network: the search's own explanation of its choice."""
    lines = ["## Why the search chose them", ""]
    for row, file in _files(done, "digits"):
        if row.made == "auto" and not file["error"]:
            lines.append(f"- {row.title}: {file['why']}")
    for row, result in done.items():
        if row.kind == "count" and result.get("why"):
            lines.append(f"- {row.title}, full size: {result['why']}")
    return [*lines, ""]


def _half(done: Results) -> list[str]:
    """The accuracy of fp16 files in half precision."""
    lines = ["## fp16 in half precision", ""]
    lines += [HALF_TEXT]
    header = (
        "network",
        "right",
        "drop, 95 %",
        "agreement",
        "moves a margin by up to",
        "smallest margin not run",
    )

    def cells() -> Iterator[Sequence[str]]:
        for row, file in _files(done, "digits"):
            half = file.get("half")
            if half and row.made == "tflite":
                other = half["smallest_other"]
                yield (
                    row.title,
                    f"{half['accuracy']:.2%}",
                    _drop(half),
                    f"{half['agreement']:.2%}",
                    f"{half['moved']:.3f}",
                    "-" if other is None else f"{other:.3f}",
                )

    return [*lines, markdown_table(header, cells()), ""]


def _counts(rows: Sequence[Row], done: Results) -> Iterator[Sequence[str]]:
    by_slug = {row.slug: result for row, result in done.items()}
    for row in rows:
        ours, stock = by_slug.get(row.slug), by_slug.get(row.slug.removesuffix("auto") + "stock")
        if row.kind != "count" or row.made != "auto" or not (ours or stock):
            continue
        found = {one["recipe"]: one for one in (ours or {"files": []})["files"]}
        known = {one.name: one for one in RECIPES}
        mixed = [one for name, one in found.items() if known[name].is_mixed]
        theirs = {one["recipe"]: one for one in (stock or {"files": []})["files"]}
        int8 = [one for name, one in theirs.items() if name.startswith("int8")]
        yield (
            row.title,
            *(_counted(found.get(name)) for name in COUNTS[1:]),
            f"**{_counted(mixed[-1] if mixed else None)}**",
            f"{BARS_MS[row.title]:.1f}" if row.title in BARS_MS else "-",
            *(_counted(theirs.get(name)) for name in ("fp32", "fp16")),
            " / ".join(dict.fromkeys(_counted(one) for one in int8)) or "-",
        )


def _counted(file: Mapping[str, Any] | None) -> str:
    if file is None:
        return "-"
    counted = file.get("counted", file)
    if counted.get("modelled_ms") is None:
        return "does not load" if counted.get("error") else "-"
    return f"{counted['modelled_ms']:.2f} ({counted['partitions']})"


def _short(done: Results) -> list[str]:
    """Rows that failed, and measured files beyond their limits."""
    lines = []
    for row, result in done.items():
        if result["error"]:
            lines.append(f"- {row.slug}: {result['error']}")
    for row, file in _files(done, "digits"):
        if row.made == "stock" or file["error"]:
            continue
        recipe = "auto" if row.made == "auto" else file["recipe"]
        bar = BARS.get(recipe) if row.made in ("tflite", "auto") else None
        found = 100 * (file.get("half") or file)["drop_high"]
        if bar is not None and found > bar:
            lines.append(f"- {row.title} `{recipe}`: up to {found:.2f} points, of {bar}")
        half = file.get("half")
        if half and half["smallest_other"] is not None and half["moved"] >= half["smallest_other"]:
            moved, other = f"{half['moved']:.3f}", f"{half['smallest_other']:.3f}"
            lines.append(
                f"- {row.title} `{recipe}`: half precision moves a margin by {moved}, not run from {other}"
            )
        partitions = (file.get("counted") or {}).get("partitions")
        if row.made in ("tflite", "auto") and partitions != 1:
            lines.append(f"- {row.title} `{recipe}`: {partitions} partitions")
    for row, result in done.items():
        if row.kind == "count" and row.made == "auto" and result["files"]:
            times = [
                one["modelled_ms"]
                for one in result["files"]
                if one["recipe"] == result["chosen"] and one["passed"]
            ]
            if times and round(min(times), 1) > BARS_MS.get(row.title, float("inf")):
                lines.append(f"- {row.title}, full size: {min(times):.2f} ms, of {BARS_MS[row.title]}")
    return lines or ["Nothing that was run."]
