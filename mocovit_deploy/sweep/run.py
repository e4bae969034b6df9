"""Run the rows of a sweep in child processes, one for all rows of a network that have no result yet.

    FOLDER/SYSTEM/                   the files of a network
    FOLDER/SYSTEM/export-*.json      for each child, the report of mocovit-export on the files it wrote
    FOLDER/SLUG.json                 the result of a row when it is complete, so that a killed sweep goes on

A network is captured, re-parameterized and run in float64 once for all its rows. If such a child leaves no
files, each of its rows is run again by itself, so that a format's error or a converter's crash does not
affect the other rows. A result with other options, another checkpoint or another version of this code is
computed again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mocovit_deploy.files import size_bytes, write_atomically
from mocovit_deploy.sweep.row import Row, RowResult, failure_of, result_of
from mocovit_deploy.untrusted.process import run_process

DEADLINE_S = 3600.0
"""Seconds for each row."""
CHILD = """
import sys
from mocovit_deploy.untrusted.sandbox import end_with_parent
end_with_parent(int(sys.argv.pop(1)))
from mocovit_deploy.cli.main import export_main
sys.exit(export_main())
"""
"""mocovit-export in a process that Linux ends when its parent ends."""
CRASHED = 1
"""The exit status of a child that left no report."""
Say = Callable[[str], None]
Runner = Callable[[Sequence[Row], Path], Iterable[RowResult]]
"""Runs rows in a folder and yields each result when it is complete, in any order."""


def run_sweep(rows: Sequence[Row], folder: Path, say: Say, runner: Runner) -> list[RowResult]:
    """The result of every row, in the order of the rows. Rows that have a result already are not run.

    `say` gets a line for each result; `runner` runs the rows without a result.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {row.slug: kept for row in rows if (kept := kept_result(row, folder)) is not None}
    missing = [row for row in rows if row.slug not in found]
    if found:
        say(f"{len(found)} of {len(rows)} rows have a result already")
    if missing:
        networks = len({row.system for row in missing})
        say(
            f"{len(missing)} rows to run, of {networks} network{'s'[: networks != 1]}; "
            "results come a network at a time"
        )
    start = time.perf_counter()
    for result in runner(missing, folder):
        slug = Row(result.system, result.format, result.recipe, ()).slug
        found[slug] = result
        write_atomically(folder / f"{slug}.json", json.dumps(dataclasses.asdict(result), indent=2).encode())
        spent = time.perf_counter() - start
        said = "pass" if result.passed else f"failed, {result.error}"
        say(f"{len(found)} of {len(rows)}: {slug}: {said} ({spent:.0f} s)")
    return [found[row.slug] for row in rows]


def kept_result(row: Row, folder: Path) -> RowResult | None:
    """The result of an earlier run; None if there is none, or it is no longer valid."""
    try:
        result = RowResult(**json.loads((folder / f"{row.slug}.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return result if result.key == row.key() and result.lasts else None


def run_here(rows: Sequence[Row], folder: Path) -> Iterator[RowResult]:
    """A runner on this machine, one network after the other."""
    for group in groups_of(rows):
        yield from run_group(group, folder)


def groups_of(rows: Sequence[Row]) -> list[tuple[Row, ...]]:
    """Groups of rows that one export can write: those of one network whose formats have the same recipes."""
    recipes: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for row in rows:
        recipes.setdefault((row.system, row.words, row.format), []).append(row.recipe)
    found: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[Row]] = {}
    for row in rows:
        alike = tuple(recipes[row.system, row.words, row.format])
        found.setdefault((row.system, row.words, alike), []).append(row)
    return list(map(tuple, found.values()))


def run_group(rows: Sequence[Row], folder: Path) -> list[RowResult]:
    """Export one group in a child process that ends with this one; row by row if that leaves no files."""
    first = rows[0]
    formats = dict.fromkeys(row.format for row in rows)
    recipes = dict.fromkeys(row.recipe for row in rows)
    words = [
        *first.words,
        f"--format={','.join(formats)}",
        f"--precision={','.join(recipes)}",
        f"--output-dir={folder / first.folder}",
    ]
    command = [sys.executable, "-c", CHILD, str(os.getpid()), *words, "--json"]
    done = run_process(command, deadline_s=DEADLINE_S * len(rows))
    try:
        report = json.loads(done.stdout)
    except ValueError:
        report = {"error": done.reason()}
    files = {(file["format"], file["recipe"]): file for file in report.get("files", ())}
    if not files and len(rows) > 1:
        return [result for row in rows for result in run_group([row], folder)]
    if not files:  # one row is left: it is the row that failed
        return [failure_of(first, done.status or CRASHED, str(report.get("error", "no report")))]
    kept = f"export-{'+'.join([*formats, *recipes])}.json"
    write_atomically(folder / first.folder / kept, done.stdout.encode())
    return [_result(row, files[row.format, row.recipe], folder) for row in rows]


def _result(row: Row, file: Mapping[str, Any], folder: Path) -> RowResult:
    """The result of a row from the entry of its file in the report.

    Paths in the error are relative to `folder`, so that the same sweep has the same table in every folder.
    """
    error = file["error"] and file["error"].replace(f"{folder}{os.sep}", "")
    path = Path(file["path"]) if file["path"] else None
    return result_of(row, {**file, "error": error}, size_bytes(path) if path and path.exists() else None)
