"""docs/scenes.md, from the results of the study `scenes`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from benchmarks.studies.study import commits_of, missing_rows
from mocovit_deploy.terminal.table import markdown_table, megabytes

BAR = 1.0
"""The most points of a figure that an int8 file may lose; its value, while the interval is told beside it."""
TITLES = {"tflite": "TFLite", "onnx": "ONNX", "coreml": "Core ML", "stock": "stock"}
INTRODUCTION = """\
# Scenes

What files of detectors, instance segmenters and segmenters lose, by one command: `make scenes`.

The networks are trained on scenes of 2 to 5 handwritten digits over photographs, {size} x {size} pixels
(`examples/scenes`). Held-out scenes share neither a digit nor a photograph with
training. *AP* is COCO's, from 0 to 100: the mean over ten classes and over overlaps from 0.50 to 0.95. *Mean
IoU* is that of eleven classes, background included, at every pixel. In brackets stands what a file loses
against the network in PyTorch on the same scenes, in points, with the 95 % interval of a paired bootstrap
over scenes. int8 files got their ranges from 128 training scenes. Core ML files are executed by a numpy
reference, on few scenes, so their intervals are wide. The intervals speak of other scenes of these
digits over these two photographs, not of other objects.

On x86-64 LiteRT computes fp16 files in fp32, so their figures are those of fp32. Their parity is that of half
precision, on the emulated core.

Stock is litert-torch with its own defaults. Instructions are those of one inference by LiteRT 2.3.0 on an
emulated Cortex-A76. Times are modelled from them for a Snapdragon 855, not measured on a phone.
"""
Results = Mapping[Any, Mapping[str, Any]]


class Network(Protocol):
    """The parts of a trained network that the document uses."""

    @property
    def model(self) -> str: ...


class Row(Protocol):
    """The parts of a row that the document uses."""

    @property
    def trained(self) -> Any: ...
    @property
    def made(self) -> str: ...
    @property
    def slug(self) -> str: ...


def document(rows: Sequence[Row], done: Results, size: int) -> str:
    """The document. It names missing rows, rows that failed, and files beyond their limits."""
    lines = [INTRODUCTION.format(size=size), *missing_rows(rows, done)]
    for model in dict.fromkeys(row.trained.model for row in rows):
        own = {row: result for row, result in done.items() if row.trained.model == model}
        if own:
            lines += _network(model, own)
    lines += ["## What falls short", "", *_short(done), ""]
    return "\n".join([*lines, commits_of(done), ""])


def _network(model: str, own: Results) -> list[str]:
    """The section of one network: its own figures, then a table with its files."""
    originals = {one["scenes"]: one["original"] for one in own.values() if one.get("original")}
    said = [
        f"{', '.join(f'{name} {100 * value:.1f}' for name, value in original.items())} on {scenes} scenes"
        for scenes, original in sorted(originals.items(), reverse=True)
    ]
    figures = list(next(iter(originals.values()), {}))
    header = ("file", "scenes", *figures, "parity", "partitions", "size", "instructions", "modelled")
    text = f"In PyTorch, float32: {'; '.join(said)}." if said else ""
    return [f"## {model}", "", text, "", markdown_table(header, _files(own, figures)), ""]


def _files(own: Results, figures: Sequence[str]) -> Iterator[Sequence[str]]:
    for row, result in own.items():
        for file in result["files"]:
            counted = file.get("counted") or {}
            ms, instructions = counted.get("modelled_ms"), counted.get("instructions")
            yield (
                f"{TITLES[row.made]} `{file['recipe']}`",
                str(result.get("scenes", "-")),
                *(_figure(file, name) for name in figures),
                file.get("parity", "-"),
                str(counted.get("partitions") or file.get("partitions") or "-"),
                megabytes(file["size_bytes"]) if "size_bytes" in file else "-",
                "-" if instructions is None else f"{instructions / 1e6:.1f} M",
                "-" if ms is None else f"{ms:.2f} ms",
            )


def _figure(file: Mapping[str, Any], name: str) -> str:
    told = file.get("figures", {}).get(name)
    if told is None:
        return "-"
    drop = {key: round(100 * value, 2) + 0.0 for key, value in told["drop"].items()}  # no -0.00
    return f"{100 * told['value']:.1f} ({drop['value']:+.2f}: {drop['low']:+.2f} to {drop['high']:+.2f})"


def _short(done: Results) -> list[str]:
    """Rows and files that failed, and measured files beyond their limits."""
    lines = []
    for row, result in done.items():
        if result["error"]:
            lines.append(f"- {row.slug}: {result['error']}")
        for file in result["files"]:
            name = f"{row.trained.model}, {TITLES[row.made]} `{file['recipe']}`"
            counted = file.get("counted") or {}
            if file["error"] or counted.get("error"):
                lines.append(f"- {name}: {file['error'] or counted['error']}")
            if row.made != "stock" and counted.get("partitions", 1) != 1:
                lines.append(f"- {name}: {counted['partitions']} partitions")
            for figure, told in file.get("figures", {}).items():
                lost, high = 100 * told["drop"]["value"], 100 * told["drop"]["high"]
                if high > BAR:
                    may = "loses" if lost > BAR else "may lose"
                    lines.append(f"- {name}: {may} {lost:.2f} {figure}, up to {high:.2f}, of {BAR:g}")
    return lines or ["Nothing that was run."]
