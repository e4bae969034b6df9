"""Every network of the field through the whole line: one row of each table of docs/zoo.md.

    python -m benchmarks.studies.zoo [--only PATTERN] [--folder DIR] [--keep] [--unfinished]

A row is two child processes: `mocovit-export --summary` for parameters and MACs, and `mocovit-export` with
all formats and precisions. Its results go to a JSON file in `--folder` when it is done, with the commit and
the tools it is of, and a row that has one is not run again until the sources change: a run that was killed
goes on where it was. Sources change for reasons that move no number; `--keep` then keeps the rows there are,
and the document says which commit each row is of. The files themselves are deleted when they are counted.
docs/zoo.md is written when no row is missing, or with `--unfinished`, when it names the rows that did not
run.

Expect `MINUTES` on two cores, and at most `DISK_CAP_GB` of disk at a time.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.studies.study import (
    CHECKOUT,
    EXPORT,
    RowError,
    begun,
    child_report,
    finished,
    parser_of,
    product_digest,
    rows_like,
    tools,
)
from benchmarks.studies.zoo_document import (
    FILES_HEADER,
    NETWORK_HEADER,
    PRECISIONS,
    ROWS,
    Row,
    document,
    files_cells,
    network_cells,
)
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.files import write_atomically
from mocovit_deploy.formats import format_named
from mocovit_deploy.report.commit import commit
from mocovit_deploy.terminal.table import table

DOCUMENT = CHECKOUT / "docs" / "zoo.md"
MINUTES = 60
DISK_CAP_GB = 3


def main() -> int:
    expected = f"Expected: {MINUTES} minutes in all, at most {DISK_CAP_GB} GB of disk at a time."
    parser = parser_of("zoo", __doc__, expected)
    parser.add_argument("--unfinished", action="store_true", help="write docs/zoo.md though rows are missing")
    given = begun(parser, ROWS)
    sources = product_digest()
    wanted = None if given.keep else sources
    wished = rows_like(ROWS, given.only)
    for number, row in enumerate(wished, 1):
        known = finished(given.folder, row, wanted)
        if known is None or known.get("error"):
            _progress(f"[{number}/{len(wished)}] {row.slug} ...")
            start = time.monotonic()
            result = {**run_row(row, given.folder), "sources": sources, "commit": commit(), "tools": tools()}
            write_atomically(given.folder / f"{row.slug}.json", json.dumps(result, indent=1).encode())
            _progress(f" {time.monotonic() - start:.0f} s, {result.get('error') or 'pass'}\n")
    results = {row: finished(given.folder, row, wanted) for row in ROWS}
    done = {row: result for row, result in results.items() if result is not None}
    if given.unfinished or len(done) == len(ROWS):
        write_atomically(DOCUMENT, document(done).encode())
        sys.stdout.write(f"written: {DOCUMENT}\n")
    else:
        for header, line in ((NETWORK_HEADER, network_cells), (FILES_HEADER, files_cells)):
            sys.stdout.write(table(header, [line(row, result) for row, result in done.items()]) + "\n\n")
    return 4 if any(row not in done or done[row].get("error") for row in wished) else 0


def run_row(
    row: Row, folder: Path, formats: tuple[str, ...] = FORMATS, precisions: tuple[str, ...] = PRECISIONS
) -> dict[str, Any]:
    """Everything the table says of one network; `error` where the line ended early or a file failed."""
    if shutil.disk_usage(folder).free < DISK_CAP_GB * 1e9:
        return {"error": f"less than {DISK_CAP_GB} GB of disk are free in {folder}"}
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder, prefix="files-") as scratch:
        try:
            summary = child_report([*EXPORT, *row.words, "--summary", "--json"])
            files = ("--format", ",".join(formats), "--precision", ",".join(precisions))
            export = child_report([*EXPORT, *row.words, *files, "--output-dir", scratch, "--json"])
            paths = [Path(one["path"]) for one in export["files"] if one["path"]]
            operators = {str(path): _operators(path) for path in paths}
        except RowError as failure:
            return {"error": str(failure)}
    errors = [one["error"] for one in export["files"] if one["error"]]
    return {
        "input": summary["inputs"],
        "total": summary["total"],
        "batch_norms": export["batch_norms"],
        "refused": export["refusals"],
        "stages": export["seconds"],
        "files": {
            f"{one['format']} {one['recipe']}": {
                "verdict": one["parity"]["verdict"],
                "arithmetic": decisive["arithmetic"],
                "not_run": one["parity"]["not_run"],
                "max_error": worst([output["max_error"] for output in decisive["outputs"]]),
                "operators": operators.get(one["path"]),
                "error": one["error"],
            }
            for one in export["files"]
            for decisive in [one["parity"]["half"] or one["parity"]]
        },
        "seconds": round(time.monotonic() - start, 1),
        "error": "; ".join(errors) or None,
    }


def _operators(path: Path) -> int:
    """How many operators a file has, constants not counted."""
    artifact = read_manifest(path)
    return len(format_named(artifact.format).operators(artifact))


def worst(errors: list[float | None]) -> float | None:
    """The largest error of a file; None if there is none, or one is not a number."""
    known = [error for error in errors if error is not None]
    return max(known) if known and len(known) == len(errors) else None


def _progress(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _progress("\nzoo: stopped; run it again to go on\n")
        sys.exit(130)
