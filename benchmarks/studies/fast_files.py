"""The files of the study `fast`: written by child processes, and each counted once on the emulated core."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.studies.study import EXPORT, child_report
from benchmarks.studies.zoo_document import PRECISIONS, Row
from mocovit_deploy.files import digest, write_atomically

COUNT_TIMEOUT_S = 4 * 3600
"""The limit of one count: two emulated inferences of a network of 5 G multiply-accumulates."""

BENCH = ("-c", "import sys; from benchmarks.cli.main import main; sys.exit(main())")

STOCK = """
import json, os, sys
report = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the converter writes progress to standard output
import litert_torch
from exporters.tflite.fp16 import allow_half
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import ModelSpec, OwnInput
model, size, folder = json.loads(sys.argv[1])
network = load_network(ModelSpec(model, input=OwnInput(size=size)))
example = network.inputs.for_capture(0, False)
litert_torch.convert(network.module.eval(), tuple(example)).export(folder + "/fp32.tflite")
with open(folder + "/fp32.tflite", "rb") as file:
    data = allow_half(file.read())
with open(folder + "/fp16.tflite", "wb") as file:
    file.write(data)
report.write("{}")
"""
"""The original network, written by litert-torch with its defaults; fp16 is the same file with the mark."""

VARIANTS = """
import json, sys
from pathlib import Path
from exporters import tflite
from exporters.tflite.lowering.choose import LOWERINGS
from mocovit_deploy.formats import ExportJob
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.models.load import load_network
from mocovit_deploy.passes.run import rewrite, run_passes
from mocovit_deploy.spec import ModelSpec, OwnInput, TensorSpec
model, size, folder, variants = json.loads(sys.argv[1])
network = load_network(ModelSpec(model, input=OwnInput(size=size)))
example = network.inputs.for_capture(0, False)
graph = run_passes(capture(network.module, example), example).graph
inputs = tuple(TensorSpec(n, tuple(x.shape), "float32", "nchw") for n, x in zip(network.input_names, example))
outputs = (TensorSpec(network.output_names[0], tuple(network.module.eval()(*example).shape), "float32"),)
for label, recipe, names in variants:
    lowered = run_passes(graph, example, [rewrite(one.module) for one in LOWERINGS if one.name in names])
    path = Path(folder, label + ".tflite")
    job = ExportJob(path, recipe, inputs, outputs, "nhwc", 18, False, False, "iOS15", "direct")
    tflite.export(lowered.graph, example, job)
print("{}")
"""
"""Files of a network with one output, each with given rewrites."""


@dataclass(frozen=True)
class Variant:
    """A file of a network with exactly these rewrites."""

    recipe: str
    rewrites: tuple[str, ...]

    @property
    def label(self) -> str:
        """The recipe and the rewrites, joined by "-"."""
        return "-".join((self.recipe, *self.rewrites))


def write_stock(row: Row, folder: Path) -> dict[str, Path]:
    """Write the files of litert-torch to `folder`, and return them by precision. Raises `RowError`."""
    child_report(["-c", STOCK, json.dumps([row.model, row.size, str(folder)])])
    return {precision: folder / f"{precision}.tflite" for precision in PRECISIONS}


def write_ours(row: Row, folder: Path) -> dict[str, dict[str, Any]]:
    """Export to `folder`, and return the report of `mocovit-export` on each file, by precision.

    Raises `RowError` if nothing was reported.
    """
    how = ("--format", "tflite", "--precision", ",".join(PRECISIONS), "--output-dir", str(folder), "--json")
    return {one["recipe"]: one for one in child_report([*EXPORT, *row.words, *how])["files"]}


def write_variants(row: Row, folder: Path, variants: Sequence[Variant]) -> dict[Variant, Path]:
    """Write the files of `variants` to `folder`. Raises `RowError`."""
    asked = [(str(number), one.recipe, one.rewrites) for number, one in enumerate(variants)]
    child_report(["-c", VARIANTS, json.dumps([row.model, row.size, str(folder), asked])])
    return {one: folder / f"{number}.tflite" for number, one in enumerate(variants)}


def count_file(path: Path, folder: Path) -> dict[str, Any]:
    """The counts of one inference of a file, kept in `folder` under the digest of the file.

    Raises `RowError` if nothing was counted.
    """
    kept = folder / f"{digest(path)}-litert.json"
    try:
        known: dict[str, Any] = json.loads(kept.read_bytes())
    except (FileNotFoundError, ValueError):
        known = _counted(path)
        write_atomically(kept, json.dumps(known, indent=1).encode())
    return known


def _counted(path: Path) -> dict[str, Any]:
    words = ["run", str(path), "--target", "emulated", "--runs", "1", "--no-verify", "--json"]
    words += ["--deadline-s", str(COUNT_TIMEOUT_S)]
    return brief(child_report([*BENCH, *words], timeout_s=COUNT_TIMEOUT_S)["reports"][0])


def brief(report: Mapping[str, Any]) -> dict[str, Any]:
    """The figures for the tables, from a count report of `mocovit-bench run`."""
    partitions, kinds = report["partitions"] or {}, report["operators_by_kind"] or {}
    return {
        "instructions": report["counts"]["instructions"],
        "modelled_ms": report["modelled"]["modelled_ms"],
        "partitions": partitions.get("count"),
        "outside": partitions.get("outside"),
        "operators": sum(kinds.values()),
        "transposes": kinds.get("TRANSPOSE", 0),
        "engine": f"{report['engine']['runtime']} {report['engine']['version']}",
        "arithmetic": report["engine"]["arithmetic"],
    }
