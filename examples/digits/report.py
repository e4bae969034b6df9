"""Export a trained network to every format and precision, and measure each *file* on held-out images.

    python -m examples.digits.report                            all formats and precisions
    python -m examples.digits.report onnx:fp32 tflite:fp32 --images 1000 --max-drop 1

A drop is the accuracy that a file loses against the float network, in percent of the images, with its 95 %
interval (see mocovit_deploy/accuracy/evaluate.py). Errors are printed below the table. The exit status is
that of one of them: a conversion's before a parity's before an accuracy's.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.digits import words
from examples.digits.train import CHECKPOINT
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.cli.parsers import Parser
from mocovit_deploy.cli.runner import run_command
from mocovit_deploy.errors import UsageError, unknown_choice
from mocovit_deploy.files import size_bytes
from mocovit_deploy.formats import format_named
from mocovit_deploy.terminal.table import megabytes, table

if TYPE_CHECKING:
    from examples.digits.judge import Row

PROGRAM = "python -m examples.digits.report"
FEWER = {"coreml": 500}
"""By format: the greatest number of images. Without macOS a slow numpy reference executes Core ML files."""
HEADER = ("file", "size", "runtime", "images", "accuracy", "drop", "95 % interval", "agreement", "parity")


def render(found: Sequence[Row]) -> str:
    """A table with one line per file."""
    return table(HEADER, [_cells(row) for row in found])


def _cells(row: Row) -> tuple[str, ...]:
    name = row.path.name if row.path else f"{row.format} {row.recipe}"
    size = megabytes(size_bytes(row.path)) if row.path else "-"
    if row.evaluation is None:
        return (name, size, row.runtime, "-", "-", "-", "-", "-", row.parity)
    one = row.evaluation
    return (
        name,
        size,
        row.runtime,
        str(one.images),
        f"{one.accuracy:.2%}",
        f"{one.drop.value:+.2%}",
        f"{one.drop.low:+.2%} to {one.drop.high:+.2%}",
        f"{one.agreement:.2%}",
        row.parity,
    )


def _as_json(row: Row) -> dict[str, Any]:
    return {
        "format": row.format,
        "recipe": row.recipe,
        "path": str(row.path) if row.path else None,
        "size_bytes": size_bytes(row.path) if row.path else None,
        "runtime": row.runtime,
        "parity": row.parity,
        "evaluation": asdict(row.evaluation) if row.evaluation else None,
        "error": str(row.error) if row.error else None,
    }


def chosen(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """By format, the precisions to export. `pairs` of (format, precision) limit them; empty means all.

    Raises `UsageError` for a precision that the format does not have.
    """
    if not pairs:
        return {name: format_named(name).RECIPES for name in FORMATS}
    for name, recipe in pairs:
        if recipe not in format_named(name).RECIPES:
            raise unknown_choice(f"precision for {name}", recipe, format_named(name).RECIPES)
    return {name: tuple(dict.fromkeys(r for n, r in pairs if n == name)) for name in dict(pairs)}


def _parser() -> Parser:
    parser = Parser(prog=PROGRAM, description="Accuracy of every exported file on the held-out images.")
    add = parser.add_argument
    add(
        "files",
        nargs="*",
        type=words.file_kind,
        metavar="FORMAT:PRECISION",
        help="the files to export and measure (default: every format and precision)",
    )
    add(
        "--checkpoint",
        type=Path,
        default=CHECKPOINT,
        metavar="FILE",
        help="the trained network (default: %(default)s)",
    )
    add(
        "--images",
        type=words.positive,
        metavar="N",
        help="measure on the first N held-out images (default: all)",
    )
    add(
        "--images-of",
        type=words.numbered,
        action="append",
        default=list(FEWER.items()),
        metavar="FORMAT=N",
        help="measure one format on at most N images, because it is slow (default: "
        + ", ".join(f"{k}={v}" for k, v in FEWER.items())
        + ")",
    )
    add(
        "--max-drop",
        type=float,
        metavar="PERCENT",
        help="fail (exit status 5) if the drop's 95 %% interval reaches beyond this percentage of images",
    )
    add(
        "--output-dir",
        type=Path,
        default=Path("build/digits"),
        metavar="DIR",
        help="write the exported files here (default: %(default)s)",
    )
    add("--json", action="store_true", help="print one JSON report on stdout")
    add("--verbose", action="store_true", help="show converters' output and tracebacks")
    return parser


def command(arguments: Sequence[str]) -> int:
    """Run the program on these arguments: export, measure, print. Returns its exit status."""
    given = _parser().parse_args(arguments)
    from examples.digits.checkpoint import read_record
    from examples.digits.data import HELD_OUT_IMAGES
    from examples.digits.judge import ask, judged, rows
    from mocovit_deploy.terminal.quiet import quiet

    images = HELD_OUT_IMAGES if given.images is None else given.images
    if images > HELD_OUT_IMAGES:
        raise UsageError(f"--images: there are only {HELD_OUT_IMAGES} held-out images, not {images}")
    record = read_record(given.checkpoint)
    spec = record.spec(given.checkpoint)
    wanted, fewer = chosen(given.files), dict(given.images_of)
    max_drop = None if given.max_drop is None else given.max_drop / 100
    found: list[Row] = []
    with quiet(not given.verbose) as stderr:
        question = ask(spec, images)
        for name, recipes in wanted.items():
            stderr.write(f"{name}: {', '.join(recipes)} ...\n")
            enough = min(images, fewer.get(name, images))
            made = rows(spec, name, recipes, given.output_dir, question, enough)
            found += [judged(row, max_drop) for row in made]
    reference = float((question.labels == question.reference).mean())
    if given.json:
        document = {"schema_version": 1, "model": record.model, "checkpoint_sha256": record.sha256}
        document |= {"images": images, "reference_accuracy": reference, "files": [_as_json(r) for r in found]}
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        print(f"{record.model} in PyTorch, float32: {reference:.2%} of {images} held-out images\n")
        print(render(found))
    return _conclude(found)


def _conclude(found: Sequence[Row]) -> int:
    """Return 0 if no row has an error; else print all but one, and raise that one for the exit status.

    The one with the lowest exit status is raised: conversion before parity before accuracy.
    """
    failed = sorted(
        (row for row in found if row.error), key=lambda row: row.error.exit_status if row.error else 0
    )
    for row in failed[1:]:
        sys.stderr.write(f"{row.format} {row.recipe}: {row.error}\n")
    if failed and failed[0].error is not None:
        first = failed[0]
        raise type(failed[0].error)(f"{first.format} {first.recipe}: {first.error}")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(PROGRAM, command))
