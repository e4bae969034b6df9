"""mocovit-export --sweep FILE: every network of a file in every format and precision, as one table.

    format = ["tflite", "onnx"]             options of mocovit-export for all networks, as in a --config file
    precision = ["fp32", "fp16"]
    image_size = 96

    [[system]]                              one network, with options of its own
    name = "digits"                         default: its model
    model = "mocovit_0_5"
    checkpoint = "digits.safetensors"

A precision that a format does not have is left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mocovit_deploy.choices import FORMATS
from mocovit_deploy.cli.config import words_of
from mocovit_deploy.contract.toml import read_toml, text
from mocovit_deploy.errors import DeployError, OutputError, UsageError
from mocovit_deploy.files import write_atomically
from mocovit_deploy.formats import format_named
from mocovit_deploy.sweep.on_ray import on_ray
from mocovit_deploy.sweep.page import sweep_page
from mocovit_deploy.sweep.row import Row, RowResult
from mocovit_deploy.sweep.run import run_here, run_sweep
from mocovit_deploy.sweep.table import as_csv, as_json, as_text
from mocovit_deploy.terminal.colour import painted
from mocovit_deploy.terminal.printable import printable

SPREAD = ("format", "precision")
NOT_HERE = ("output_dir", "report", "card", "summary", "no_verify")
"""Options that a sweep sets by itself, or that would leave its table empty."""


def run_sweep_file(
    parser: argparse.ArgumentParser, path: Path, folder: Path, *, ray: str | None, as_json_report: bool
) -> int:
    """Run the rows that have no result yet, write sweep.csv, .json and .html to `folder`, print the table.

    Rows run here, or on the Ray cluster at `ray`. Raises `UsageError` for a sweep file with mistakes, and the
    error of the first row that failed.
    """
    rows = read_rows(parser, path)
    runner = run_here if ray is None else on_ray(ray)

    def say(line: str) -> None:
        sys.stderr.write(printable(f"{line}\n", keep="\n"))
        sys.stderr.flush()

    results = run_sweep(rows, folder, say, runner)
    for name, made in (("sweep.csv", as_csv), ("sweep.json", as_json), ("sweep.html", sweep_page)):
        try:
            write_atomically(folder / name, made(results).encode())
        except OSError as error:
            raise OutputError(f"{folder / name}: cannot be written ({error.strerror})") from None
    if as_json_report:
        sys.stdout.write(as_json(results))
    else:
        said = f"{as_text(results)}\n\nwritten to {folder}/: sweep.csv, sweep.json, sweep.html\n"
        sys.stdout.write(painted(printable(said, keep="\n"), sys.stdout))
    if (failed := next((one for one in results if not one.passed), None)) is not None:
        raise _error_of(failed, sum(not one.passed for one in results), len(results))
    return 0


def _error_of(failed: RowResult, count: int, total: int) -> DeployError:
    error = DeployError(
        f"{count} of {total} rows failed; the first, {failed.system} {failed.format} {failed.recipe}: "
        f"{failed.error}"
    )
    error.exit_status = failed.exit_status
    return error


def read_rows(parser: argparse.ArgumentParser, path: Path) -> tuple[Row, ...]:
    """The rows of a sweep file, in order. Raises `UsageError` for a file with mistakes."""
    document = read_toml(path)
    systems = document.pop("system", None)
    if not isinstance(systems, list) or not systems or not all(isinstance(one, dict) for one in systems):
        raise UsageError(f"{path}: holds no [[system]] table, so there is nothing to run")
    by_system = [rows for system in systems if (rows := _rows(parser, path, document, system))]
    if not by_system:
        raise UsageError(f"{path}: no format in it has any of these precisions")
    folders = [rows[0].folder.casefold() for rows in by_system]  # some file systems do not tell A from a
    if twice := next((rows[0] for rows in by_system if folders.count(rows[0].folder.casefold()) > 1), None):
        raise UsageError(
            f"{path}: two [[system]] tables would write to one folder, {twice.folder}; "
            "give each a name of its own"
        )
    return tuple(row for rows in by_system for row in rows)


def _rows(
    parser: argparse.ArgumentParser, path: Path, common: Mapping[str, Any], system: Mapping[str, Any]
) -> list[Row]:
    table = {key.replace("-", "_"): value for key, value in {**common, **system}.items()}
    if refused := next((name for name in NOT_HERE if name in table), None):
        raise UsageError(f"{path}: {refused} does not go into a sweep")
    name = text(table.pop("name", table.get("model", "mocovit_1_0")), f"{path}: name")
    spread = parser.parse_args(words_of(parser, {n: table.pop(n) for n in SPREAD if n in table}, path))
    words = tuple(words_of(parser, table, path))
    formats = dict.fromkeys(spread.format or FORMATS)  # a name that stands twice is one
    recipes = dict.fromkeys(spread.precision or ("fp32",))
    wanted = [(format_name, recipe) for format_name in formats for recipe in recipes]
    return [Row(name, one, recipe, words) for one, recipe in wanted if recipe in format_named(one).RECIPES]
