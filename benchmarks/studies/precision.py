"""What each precision costs: accuracy of trained networks, time of full-size ones, our files and stock ones.

    python -m benchmarks.studies.precision [--only PATTERN] [--folder DIR] [--keep]

    digits    the trained networks of examples/digits, in every format. Ranges come from 128 training images;
              accuracy is measured on all held-out images. TFLite files are counted on the emulated
              Cortex-A76, and fp16 files are run in half precision too
    count     networks at full size with random weights: the search for the fastest file counts every recipe
              and the mixture of recipes
    stock     files of litert-torch and ai-edge-quantizer, of the same networks, with the same images, counted
              on the same core

As in `fast`, results are kept in `--folder`, and a run that was stopped continues. A file is counted once for
the same bytes. docs/accuracy.md and docs/claims.md are written after every run, and name the rows that are
missing. The study needs what `mocovit-bench emulator` and `mocovit-bench bundle` make.

All rows take 5 hours of one core.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.studies import claims
from benchmarks.studies.fast_files import count_file
from benchmarks.studies.precision_document import document
from benchmarks.studies.precision_files import (
    as_row,
    export_digits,
    export_full_size,
    held_out,
    judge_in_half,
    stock_answers,
    write_stock,
)
from benchmarks.studies.study import (
    CHECKOUT,
    RowError,
    begun,
    parser_of,
    product_digest,
    rows_like,
    run_missing,
    run_study,
)
from examples.digits.networks import NETWORKS, Trained
from mocovit_deploy.errors import DeployError
from mocovit_deploy.files import size_bytes, write_atomically

DOCUMENT = CHECKOUT / "docs" / "accuracy.md"
COMPARED = CHECKOUT / "docs" / "claims.md"

RECIPES = {
    "tflite": "fp32,fp16,static_wi8_ai8,static_wi8_ai8_fp16,mixed_wi8_ai8_fp16",
    "onnx": "fp32,fp16,static_wi8_ai8,weight_only_wi8_afp32",
    "coreml": "fp32,fp16,static_wi8_ai8_fp16,weight_only_wi8_afp16,weight_only_wp6_afp16",
}
AUTO = "auto"
"""The search for the fastest file. It needs counts, which only TFLite files have."""
STOCK = "stock"
FEWER = {"coreml": 400}
"""By format: the number of images. Without macOS a slow numpy reference executes Core ML files."""
FULL_SIZE = (
    ("mocovit_1_0", None),
    ("timm/ghostnet_100", None),
    ("timm/mobilenetv3_large_100", None),
    ("timm/mobilevit_xxs", None),
    ("timm/efficientvit_b0", None),
    ("timm/efficientvit_b1", None),
    ("timm/efficientnet_b0", None),
)

CLAIMED = tuple(
    (f"timm/{name}", None)
    for name in ("efficientvit_b2", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3")
)
"""Further networks that docs/claims.md compares, counted without stock files."""


@dataclass(frozen=True)
class Row:
    """A network, and the files to make of it: those of a format, of the search, or of stock tools."""

    model: str
    size: int | None
    made: str
    """A format, `AUTO` or `STOCK`."""
    trained: Trained | None = None
    """The trained network of examples/digits; None for random weights."""

    @property
    def kind(self) -> str:
        """The table with this row."""
        return "count" if self.trained is None else "digits"

    @property
    def title(self) -> str:
        """Its name in the document."""
        return self.model.removeprefix("timm/")

    @property
    def slug(self) -> str:
        """Its name in file names."""
        return f"{self.kind}-{self.model.rpartition('/')[2]}-{self.made}"


ROWS = (
    *(Row(one.model, one.size, made, one) for one in NETWORKS for made in (*RECIPES, AUTO, STOCK)),
    *(Row(model, size, made) for model, size in FULL_SIZE for made in (AUTO, STOCK)),
    *(Row(model, size, AUTO) for model, size in CLAIMED),
)


def main() -> int:
    """Run the missing rows that the options select and write the document. Returns the exit status."""
    given = begun(parser_of("precision", __doc__), ROWS)
    done = run_missing(given, ROWS, lambda row: run_row(row, given.folder), brief, sources_of)
    write_atomically(DOCUMENT, document(ROWS, done).encode())
    write_atomically(COMPARED, claims.document(claims.times_of(done)).encode())
    sys.stdout.write(f"written: {DOCUMENT}, {COMPARED}\n")
    return 4 if any(one["error"] for row, one in done.items() if row in rows_like(ROWS, given.only)) else 0


def sources_of(row: Row) -> str:
    """The digest of all that could change a row: what makes its files, and its checkpoint and images."""
    made_by = CHECKOUT / "benchmarks" / "studies" / "precision_files.py"
    return product_digest(made_by, *(() if row.trained is None else row.trained.sources))


def brief(_row: Row, result: dict[str, Any]) -> str:
    """What the terminal says of a row: its error, or how many files it has."""
    return result["error"] or f"{len(result['files'])} files"


def run_row(row: Row, folder: Path) -> dict[str, Any]:
    """The result of one row. A failure becomes its `error`, and the row is run again next time."""
    result: dict[str, Any] = {"error": None, "files": []}
    with tempfile.TemporaryDirectory(dir=folder, prefix="files-") as scratch:
        try:
            result |= WORK[row.kind, row.made if row.made in (AUTO, STOCK) else "ours"](
                row, folder, Path(scratch)
            )
        except (RowError, DeployError) as failure:
            result["error"] = str(failure)
        if result["error"]:
            result["error"] = str(result["error"]).replace(f"{scratch}/", "")
    return result


def digits_ours(row: Row, folder: Path, scratch: Path) -> dict[str, Any]:
    """The accuracy of our files of one format, or of the file that the search chose."""
    assert row.trained is not None
    held = held_out(row.trained, folder)
    searched = row.made == AUTO
    format_name = "tflite" if searched else row.made
    recipes = AUTO if searched else RECIPES[row.made]
    images = FEWER.get(row.made)
    report = export_digits(row.trained, format_name, recipes, scratch, held.path, images)
    found = []
    for one in report["files"]:
        if one["error"] or not one["path"]:
            found.append({"recipe": one["recipe"], "error": str(one["error"]).replace(f"{scratch}/", "")})
            continue
        path, told = Path(one["path"]), one["accuracy"]
        file = {"recipe": one["recipe"], "error": None, "size_bytes": size_bytes(path)}
        file |= {"sqnr_db": min(output["sqnr_db"] for output in one["parity"]["outputs"])}
        file |= {"images": told["images"], "accuracy": told["accuracy"], "agreement": told["agreement"]}
        file |= {"reference_accuracy": told["reference_accuracy"], "drop": told["drop"]["value"]}
        file |= {"drop_low": told["drop"]["low"], "drop_high": told["drop"]["high"]}
        if format_name == "tflite":
            file["counted"] = count_file(path, folder)
            if one["recipe"] == "fp16":
                file["half"] = judge_in_half(path, held)
        found.append(file | {"chosen_from": one["candidates"], "why": one["why_chosen"]})
    return {"files": found, "seconds": report["seconds"], "cpu_seconds": report["cpu_seconds"]}


def digits_stock(row: Row, folder: Path, scratch: Path) -> dict[str, Any]:
    """The accuracy of the stock files on the held-out images."""
    assert row.trained is not None
    held = held_out(row.trained, folder)
    files = _stock(row, folder, scratch)
    for one in files:
        if "path" not in one:
            continue
        try:
            found = stock_answers(scratch / one.pop("path"), held, scratch)
        except RowError as failure:  # the runtime stops in an operator
            one["error"] = str(failure).replace(f"{scratch}/", "")
        else:
            one |= {**as_row(held.judge(found.classes)), "refused": found.refused}
    return {"files": files}


def count_ours(row: Row, _folder: Path, scratch: Path) -> dict[str, Any]:
    """The counts of every recipe that the search tried, with the mixture that it chose."""
    report = export_full_size(row.model, row.size, scratch)
    (one,) = report["files"]
    told = {"files": one["candidates"], "why": one["why_chosen"], "chosen": one["recipe"]}
    told["error"] = one["error"]
    return told | {"seconds": report["seconds"], "cpu_seconds": report["cpu_seconds"]}


def count_stock(row: Row, folder: Path, scratch: Path) -> dict[str, Any]:
    """The counts of the stock files."""
    files = _stock(row, folder, scratch)
    return {"files": [{name: value for name, value in one.items() if name != "path"} for one in files]}


def _stock(row: Row, folder: Path, scratch: Path) -> list[dict[str, Any]]:
    """Write the stock files of a row to `scratch` and count each. Errors stand in the results."""
    failed = write_stock(row.trained, row.model, row.size, scratch)
    found: list[dict[str, Any]] = [
        {"recipe": name, "error": why.replace(f"{scratch}/", "")} for name, why in failed.items()
    ]
    for path in sorted(scratch.glob("*.tflite")):
        one: dict[str, Any] = {"recipe": path.stem, "error": None, "path": path.name}
        one["size_bytes"] = size_bytes(path)
        try:
            one["counted"] = count_file(path, folder)
        except RowError as refusal:
            one["counted"] = {"error": str(refusal).replace(f"{scratch}/", "")}
        found.append(one)
    return found


WORK = {
    ("digits", "ours"): digits_ours,
    ("digits", AUTO): digits_ours,
    ("digits", STOCK): digits_stock,
    ("count", AUTO): count_ours,
    ("count", STOCK): count_stock,
}


if __name__ == "__main__":
    run_study("precision", main)
