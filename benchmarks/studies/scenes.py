"""What each file of the detectors and segmenters trained on scenes loses, and costs beside stock ones.

    python -m benchmarks.studies.scenes [--only PATTERN] [--folder DIR] [--keep]

    tflite, onnx, coreml    examples/scenes/report.py: files in each precision, on held-out scenes. TFLite
                            files are counted on the emulated Cortex-A76
    stock                   files of litert-torch, with its defaults, of the same networks; only counted

Results are kept in `--folder`, and a run that was stopped continues. docs/scenes.md is written after every
run, and names the rows that are missing. The study needs what `mocovit-bench emulator` and `mocovit-bench
bundle` make.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.studies.fast_files import count_file
from benchmarks.studies.scenes_document import document
from benchmarks.studies.study import (
    CHECKOUT,
    RowError,
    begun,
    child_report,
    parser_of,
    product_digest,
    rows_like,
    run_missing,
    run_study,
)
from examples.scenes.networks import FOLDER, NETWORKS, SIZE, Trained
from mocovit_deploy.errors import DeployError
from mocovit_deploy.files import size_bytes, write_atomically

DOCUMENT = CHECKOUT / "docs" / "scenes.md"
RECIPES = {
    "tflite": ("fp32", "fp16", "static_wi8_ai8", "static_wi8_ai8_fp16", "mixed_wi8_ai8_fp16"),
    "onnx": ("fp32", "fp16", "static_wi8_ai8"),
    "coreml": ("fp32", "fp16", "static_wi8_ai8_fp16"),
}
SCENES = {"tflite": 1000, "onnx": 400, "coreml": 40}
"""By format: the number of held-out scenes. Without macOS a slow numpy reference executes Core ML files."""
STOCK = "stock"
TIMEOUT_S = 4 * 3600.0

STOCK_FILES = """
import json, os, sys
report = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # the converter writes progress to standard output
from pathlib import Path
import litert_torch
from examples.scenes.checkpoint import read_record
from exporters.tflite.fp16 import allow_half
from mocovit_deploy.models.load import load_network
checkpoint, folder = map(Path, json.loads(sys.argv[1]))
network = load_network(read_record(checkpoint).spec(checkpoint))
plain = folder / "fp32.tflite"
example = network.inputs.for_capture(0, False)
litert_torch.convert(network.module.eval(), tuple(example)).export(str(plain))
(folder / "fp16.tflite").write_bytes(allow_half(plain.read_bytes()))
report.write("{}")
"""
"""A program that converts a trained network with litert-torch's defaults; fp16 is that file with its mark."""


@dataclass(frozen=True)
class Row:
    """A trained network, and the files to make of it: those of a format, or of stock tools."""

    trained: Trained
    made: str
    """A format, or `STOCK`."""

    @property
    def slug(self) -> str:
        """Its name in file names."""
        return f"{self.trained.model}-{self.made}"


ROWS = tuple(Row(one, made) for one in NETWORKS for made in (*RECIPES, STOCK))


def main() -> int:
    """Run the missing rows that the options select and write the document. Returns the exit status."""
    given = begun(parser_of("scenes", __doc__), ROWS)
    done = run_missing(given, ROWS, lambda row: run_row(row, given.folder), brief, sources_of)
    write_atomically(DOCUMENT, document(ROWS, done, SIZE).encode())
    sys.stdout.write(f"written: {DOCUMENT}\n")
    return 4 if any(one["error"] for row, one in done.items() if row in rows_like(ROWS, given.only)) else 0


def sources_of(row: Row) -> str:
    """The digest of all that could change a row: its checkpoint, the scenes and the figures too."""
    return product_digest(row.trained.checkpoint, *sorted(FOLDER.glob("*.py")))


def brief(_row: Row, result: dict[str, Any]) -> str:
    """What the terminal says of a row: its error, or how many files it has."""
    return result["error"] or f"{len(result['files'])} files"


def run_row(row: Row, folder: Path) -> dict[str, Any]:
    """The result of one row. A failure becomes its `error`, and the row is run again next time."""
    result: dict[str, Any] = {"error": None, "files": []}
    with tempfile.TemporaryDirectory(dir=folder, prefix="files-") as scratch:
        try:
            result |= (_stock if row.made == STOCK else _ours)(row, folder, Path(scratch))
        except (RowError, DeployError) as failure:
            result["error"] = str(failure).replace(f"{scratch}/", "")
    return result


def _ours(row: Row, folder: Path, scratch: Path) -> dict[str, Any]:
    """The figures of our files of one format; TFLite files are counted."""
    asked = [f"{row.made}:{recipe}" for recipe in RECIPES[row.made]]
    words = [row.trained.model, *asked, "--scenes", str(SCENES[row.made]), "--output-dir", str(scratch)]
    told = child_report(["-m", "examples.scenes.report", *words], timeout_s=TIMEOUT_S)
    for one in told["files"]:
        path = one.pop("path")
        if row.made == "tflite" and path is not None:
            one["counted"] = _counted(Path(path), folder, scratch)
        one["error"] = one["error"] and one["error"].replace(f"{scratch}/", "")
    return {name: told[name] for name in ("scenes", "original", "files")}


def _stock(row: Row, folder: Path, scratch: Path) -> dict[str, Any]:
    """The counts of the stock files."""
    child_report(["-c", STOCK_FILES, json.dumps([str(row.trained.checkpoint), str(scratch)])])
    return {
        "files": [
            {
                "recipe": path.stem,
                "error": None,
                "size_bytes": size_bytes(path),
                "counted": _counted(path, folder, scratch),
            }
            for path in sorted(scratch.glob("*.tflite"))
        ]
    }


def _counted(path: Path, folder: Path, scratch: Path) -> dict[str, Any]:
    """The counts of a file, or the error that prevented them."""
    try:
        return count_file(path, folder)
    except RowError as refusal:
        return {"error": str(refusal).replace(f"{scratch}/", "")}


if __name__ == "__main__":
    run_study("scenes", main)
