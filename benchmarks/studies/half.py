"""The numpy reference of half precision beside the emulated core, for every network of the zoo.

    python -m benchmarks.studies.half [--only PATTERN] [--folder DIR] [--keep] [--unfinished]

A row exports one network as fp16 TFLite and ONNX files, at `SIZE_PIXELS` so that emulation takes minutes. It
runs one golden sample of each on the emulated Cortex-A76 and in the reference. As in `zoo`, a finished row is
kept in `--folder`, a run that was killed resumes where it was, and the table of docs/half.md is written when
no row is missing. The study needs `mocovit-bench emulator` and `mocovit-bench bundle`. Expect `MINUTES` on
two idle cores.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.study import (
    CHECKOUT,
    EXPORT,
    RowError,
    begun,
    child_report,
    parser_of,
    run_missing,
    run_study,
)
from benchmarks.studies.zoo_document import ROWS, Row
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden, read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import DeployError, ParityError
from mocovit_deploy.files import write_atomically
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.verdict import judge_outputs, predict_golden
from mocovit_deploy.targets import RunConditions, counting_target
from mocovit_deploy.terminal.table import markdown_table

DOCUMENT = CHECKOUT / "docs" / "half.md"
START, END = "<!-- table -->\n", "<!-- end of table -->\n"
"""The lines of the document before and after the table."""
SIZE_PIXELS = 64
FORMATS = ("tflite", "onnx")
MINUTES = 30
DEADLINE_S = 1800.0

HEADER = (
    "network",
    *(f"{name} {what}" for name in ("TFLite", "ONNX") for what in ("core", "reference", "apart")),
)


def rows() -> tuple[Row, ...]:
    """Every network of the zoo once, at the size of the study."""
    return tuple(Row(model, SIZE_PIXELS) for model in dict.fromkeys(row.model for row in ROWS))


def main() -> int:
    """Run the missing rows that the options select and write the document. Returns the exit status."""
    parser = parser_of("half", __doc__, f"Expected: {MINUTES} minutes on two idle cores.", unfinished=True)
    given = begun(parser, rows())
    done = run_missing(given, rows(), run_row, lambda row, result: " | ".join(cells(row, result)))
    if given.unfinished or len(done) == len(rows()):
        write_atomically(DOCUMENT, document(DOCUMENT.read_text(), done).encode())
        sys.stdout.write(f"written: {DOCUMENT}\n")
    return 4 if any(result.get("error") for result in done.values()) else 0


def run_row(row: Row) -> dict[str, Any]:
    """The results of both files of one network, by format; `error` if the export failed."""
    with tempfile.TemporaryDirectory(prefix="mocovit-half-") as folder:
        words = ("--format", ",".join(FORMATS), "--precision", "fp16", "--no-verify", "--json")
        try:
            report = child_report([*EXPORT, *row.words, *words, "--output-dir", folder])
            return {one["format"]: compare_file(read_manifest(Path(one["path"]))) for one in report["files"]}
        except (RowError, DeployError, TypeError) as error:
            return {"error": str(error)}


def compare_file(artifact: Artifact) -> dict[str, Any]:
    """One sample on the core and in the reference: verdicts, errors, and the difference of the two."""
    golden = read_golden(artifact)
    one = golden.some([0])
    run = counting_target().run_golden(artifact, one, RunConditions(deadline_s=DEADLINE_S))
    predictor = format_named(artifact.format).load_half(artifact)
    assert predictor is not None, "only formats with a half reference are compared"
    found: dict[str, Any] = {}
    try:
        by_numpy = predict_golden(artifact, one, predictor)
    except ParityError as refusal:
        by_numpy = {}
        found["reference"] = {"verdict": "not run", "arithmetic": "fp16", "reason": str(refusal)}
    for name, outputs, arithmetic in (
        ("core", run.outputs, run.arithmetic),
        ("reference", by_numpy, predictor.arithmetic),
    ):
        if not outputs:
            continue
        report = judge_outputs(artifact, one, outputs, name, arithmetic, golden)
        finite = all(output.finite for output in report.outputs)
        error = max(output.max_error for output in report.outputs) if finite else None
        found[name] = {"verdict": report.verdict, "arithmetic": arithmetic, "error": error}
    apart = core_and_reference(golden, run.outputs, by_numpy) if by_numpy else {}
    return {**found, **apart, "runtime": run.runtime}


def core_and_reference(
    golden: Golden, core: Mapping[str, Array], by_numpy: Mapping[str, Array]
) -> dict[str, Any]:
    """The largest difference relative to the range of the output, and the share of equal values."""
    same = sum(int(np.sum(_equal(core[name], by_numpy[name]))) for name in golden.outputs)
    total = sum(np.size(core[name]) for name in golden.outputs)
    apart = [
        float(np.abs(core[name].astype(np.float64) - by_numpy[name]).max() / np.ptp(expected))
        for name, expected in golden.outputs.items()
    ]
    return {"apart": max(apart) if np.isfinite(apart).all() else None, "same_bits": same / total}


def _equal(left: Array, right: Array) -> Array:
    return np.asarray((left == right) | (np.isnan(left) & np.isnan(right)))


def cells(row: Row, result: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of a row of the table."""
    name = row.model.removeprefix("timm/")
    if result.get("error"):
        return (name, str(result["error"]), *[""] * (len(HEADER) - 2))
    return (name, *(cell for format_name in FORMATS for cell in _three(result[format_name])))


def _three(file: Mapping[str, Any]) -> Iterable[str]:
    for place in ("core", "reference"):
        one = file[place]
        if "reason" in one:
            yield "**not run**"
            continue
        error = "not finite" if one["error"] is None else f"{one['error']:.1e}"
        arithmetic = "" if one["arithmetic"] == "fp16" else f", {one['arithmetic']}"
        verdict = "" if one["verdict"] == "pass" else f", **{one['verdict']}**"
        yield error + arithmetic + verdict
    if "apart" not in file:
        yield "-"
    elif file["same_bits"] == 1:
        yield "0"
    else:
        apart = "not finite" if file["apart"] is None else f"{file['apart']:.1e}"
        yield f"{apart} ({file['same_bits']:.0%} equal)"


def document(text: str, done: Mapping[Row, Mapping[str, Any]]) -> str:
    """`text` with its table replaced, and the rows that did not run named below it."""
    lines = [markdown_table(HEADER, [cells(row, result) for row, result in done.items()])]
    missing = [row.model for row in rows() if row not in done]
    if missing:
        lines += ["", f"**Did not run**: {', '.join(missing)}."]
    commits = ", ".join(sorted({result["commit"] for result in done.values()}))
    lines += ["", f"{SIZE_PIXELS} pixels, one sample, random weights; rows of {commits}."]
    before, after = text.partition(START)[0], text.partition(END)[2]
    return "".join((before, START, "\n", "\n".join(lines), "\n\n", END, after))


if __name__ == "__main__":
    run_study("half", main)
