"""Core ML programs before and after our passes: a table of docs/coreml.md.

    python -m benchmarks.studies.coreml_graphs [--only PATTERN] [--folder DIR] [--keep] [--unfinished]

A row writes one network twice in fp16 and twice in fp32, with coremltools alone ("stock") and as
`mocovit-export` does ("ours"), and counts operations by what the Neural Engine asks for. In fp32 both are
executed by the numpy reference on one parity sample and compared with the network. What coremltools does not
convert as it is has no "stock" file, and the reason stands below the table. Finished rows are kept in
`--folder`, and the table is written when none is missing. Expect `MINUTES` on two idle cores.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from benchmarks.studies.study import (
    CHECKOUT,
    RowError,
    begun,
    child_report,
    parser_of,
    run_missing,
    run_study,
)
from benchmarks.studies.zoo_document import Row
from exporters.coreml.neural_engine import judge_program
from exporters.coreml.program import Program
from mocovit_deploy.files import write_atomically
from mocovit_deploy.terminal.table import markdown_table

DOCUMENT = CHECKOUT / "docs" / "coreml.md"
MINUTES = 4
ROWS = tuple(
    map(
        Row,
        (
            "mocovit_1_0",
            "timm/ghostnet_100",
            "timm/mobilenetv3_large_100",
            "timm/mobilevit_xxs",
            "timm/efficientvit_b0",
        ),
    )
)
MOVES = (
    "reshape",
    "transpose",
    "expand_dims",
    "squeeze",
    "slice_by_index",
    "slice_by_size",
    "split",
    "concat",
)
"""Operations that compute nothing."""
HEADER = (
    "network",
    "operations",
    "of them moves",
    "more than 4 axes",
    "slow on the Neural Engine",
    "fp32 error",
)
_BLOCK = re.compile(r"(<!-- begin graphs -->\n).*?(<!-- end graphs -->)", re.DOTALL)

CHILD = """
import json, os, sys
from pathlib import Path
report = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # coremltools writes progress to standard output
import coremltools, numpy, torch
from benchmarks.studies.coreml_graphs import told
from exporters import coreml
from exporters.coreml.execute import execute
from exporters.coreml.read import read_program
from mocovit_deploy.formats import ExportJob
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.models.load import load_network
from mocovit_deploy.passes.run import rewrite, run_passes
from mocovit_deploy.spec import ModelSpec, OwnInput, TensorSpec
model, size, folder = json.loads(sys.argv[1])
network = load_network(ModelSpec(model, input=OwnInput(size=size)))
example = network.inputs.for_capture(0, False)
x = network.inputs.for_parity(0)[1][0][0]
with torch.no_grad():
    expected = network.module.eval()(torch.from_numpy(x)).numpy()
graph = run_passes(capture(network.module, example), example).graph
done = {}
for recipe, precision in (("fp32", coremltools.precision.FLOAT32), ("fp16", coremltools.precision.FLOAT16)):
    paths = {who: Path(folder, f"{who}_{recipe}.mlpackage") for who in ("stock", "ours")}
    program = torch.export.export(network.module.eval(), tuple(example)).run_decompositions({})
    try:
        coremltools.convert(
            program, minimum_deployment_target=coremltools.target.iOS16, compute_precision=precision
        ).save(str(paths["stock"]))
    except Exception as error:  # coremltools raises errors of many types for what it cannot convert
        done["refused"] = str(error).splitlines()[0]
        del paths["stock"]
    lowered = run_passes(graph, example, [rewrite(one) for one in coreml.lowerings(recipe)]).graph
    inputs = (TensorSpec("image", tuple(example[0].shape), "float32", "nchw"),)
    outputs = (TensorSpec("logits", tuple(expected.shape), "float32"),)
    how = ("nchw", 18, False, False, "iOS16")
    coreml.export(lowered, example, ExportJob(paths["ours"], recipe, inputs, outputs, *how))
    for who, path in paths.items():
        known = read_program(path)
        done.setdefault(who, {})[recipe] = told(known)
        if recipe == "fp32":
            (got,) = execute(known, {known.inputs[0].name: x}, recipe).values()
            error = float(numpy.abs(got - expected).max() / (expected.max() - expected.min()))
            done[who][recipe]["error"] = error
report.write(json.dumps(done))
"""


def told(program: Program) -> dict[str, int]:
    """The counts of one program: all operations, those of `MOVES`, wide ones, and slow ones."""
    return {
        "operations": len(program.operations),
        "moves": sum(one.kind in MOVES for one in program.operations),
        "wide": sum(any(len(value.shape) > 4 for value in one.outputs) for one in program.operations),
        "slow": len(judge_program(program, {}).remarks),
    }


def main() -> int:
    about = f"Expected: {MINUTES} minutes on two idle cores."
    given = begun(parser_of("coreml_graphs", __doc__, about, unfinished=True), ROWS)
    done = run_missing(given, ROWS, run_row, lambda row, result: " | ".join(cells(row, result)))
    if given.unfinished or len(done) == len(ROWS):
        text = filled(DOCUMENT.read_text(encoding="utf-8"), done)
        write_atomically(DOCUMENT, text.encode())
        sys.stdout.write(f"written: {DOCUMENT}\n")
    return 4 if any(result.get("error") for result in done.values()) else 0


def run_row(row: Row) -> dict[str, Any]:
    """The counts of one network's four files; `error` if one could not be written, read or executed."""
    with tempfile.TemporaryDirectory(prefix="mocovit-coreml-") as folder:
        try:
            return {"files": child_report(["-c", CHILD, json.dumps([row.model, row.size, folder])])}
        except RowError as error:
            return {"files": {}, "error": str(error)}


def cells(row: Row, result: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of a row of the table, stock → ours; counts are those of the fp16 files."""
    if result.get("error"):
        return (row.title, str(result["error"]), *[""] * (len(HEADER) - 2))
    ours, stock = result["files"]["ours"], result["files"].get("stock")
    counts = [
        f"{stock['fp16'][what] if stock else '-'} → {ours['fp16'][what]}"
        for what in ("operations", "moves", "wide", "slow")
    ]
    before = f"{stock['fp32']['error']:.1e}" if stock else "-"
    return (row.title, *counts, f"{before} → {ours['fp32']['error']:.1e}")


def filled(text: str, done: Mapping[Row, Mapping[str, Any]]) -> str:
    """The document with the table written anew. Raises `ValueError` if it has no place for it."""
    commits = ", ".join(dict.fromkeys(one["commit"] for one in done.values()))
    versions = "; ".join(
        dict.fromkeys(
            f"torch {one['tools']['torch']} and coremltools {one['tools']['coremltools']}"
            for one in done.values()
        )
    )
    missing = [row.title for row in ROWS if row not in done]
    lines = [markdown_table(HEADER, [cells(row, result) for row, result in done.items()])]
    lines += ["", f"Made by `python -m benchmarks.studies.coreml_graphs` with {versions}; rows of {commits}."]
    lines += [
        f"coremltools does not convert {row.title} as it is: {result['files']['refused']}."
        for row, result in done.items()
        if "refused" in result["files"]
    ]
    if missing:
        lines += [f"Not run: {', '.join(missing)}."]
    table = "\n".join(lines) + "\n"
    found, places = _BLOCK.subn(lambda block: f"{block[1]}{table}{block[2]}", text)
    if places != 1:
        raise ValueError("no place for the table of graphs")
    return found


if __name__ == "__main__":
    run_study("coreml_graphs", main)
