"""The rows of a sweep, one after the other, each in a child process of its own.

    FOLDER/SLUG/         the files of the row
    FOLDER/SLUG.json     its result, written when it is complete: a sweep that was killed goes on behind it

A result of other words, another checkpoint or another version of this code is run again.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mocovit_deploy.files import size_bytes, write_atomically
from mocovit_deploy.sweep.row import Row, RowResult, result_of
from mocovit_deploy.untrusted.process import run_process

DEADLINE_S = 3600.0
CHILD = """
import sys
from mocovit_deploy.untrusted.sandbox import end_with_parent
end_with_parent(int(sys.argv.pop(1)))
from mocovit_deploy.cli.main import export_main
sys.exit(export_main())
"""
"""mocovit-export, which Linux ends with its parent, however that ends."""
CRASHED = 1
"""The exit status of a child that left no report."""
Say = Callable[[str], None]
Runner = Callable[[Sequence[Row], Path], Iterable[RowResult]]
"""Runs rows in a folder and gives each result when it is there, in any order."""


def run_sweep(rows: Sequence[Row], folder: Path, say: Say, runner: Runner) -> list[RowResult]:
    """Every row's result, in the order of the rows; those that are there already are not run.

    `say` is told of each in a line; `runner` runs those that are missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {row.slug: kept for row in rows if (kept := kept_result(row, folder)) is not None}
    missing = [row for row in rows if row.slug not in found]
    if found:
        say(f"{len(found)} of {len(rows)} rows are there")
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
    """The result of an earlier run; None if there is none, or none that still holds."""
    try:
        result = RowResult(**json.loads((folder / f"{row.slug}.json").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    return result if result.key == row.key() and result.lasts else None


def run_here(rows: Sequence[Row], folder: Path) -> Iterable[RowResult]:
    """One after the other, on this machine."""
    return (run_row(row, folder) for row in rows)


def run_row(row: Row, folder: Path) -> RowResult:
    """Export one row in a child process, which ends with this one."""
    output = folder / row.slug
    words = [*row.words, f"--format={row.format}", f"--precision={row.recipe}", f"--output-dir={output}"]
    command = [sys.executable, "-c", CHILD, str(os.getpid()), *words, "--json"]
    done = run_process(command, deadline_s=DEADLINE_S)
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return result_of(row, done.status or CRASHED, {"error": done.reason()}, None)
    path = (report.get("files") or [{}])[0].get("path")
    size = size_bytes(Path(path)) if path and Path(path).exists() else None
    return result_of(row, done.status, report, size)
