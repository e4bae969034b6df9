"""Every network of the zoo, exported in all formats and precisions: docs/zoo.md.

    python -m benchmarks.studies.zoo [--only PATTERN] [--folder DIR] [--keep] [--unfinished] [--ray ADDRESS]

One `mocovit-export --sweep` exports all missing rows, on this machine or with --ray on a cluster. Then
`mocovit-export --summary` gives the parameters and MACs of each. The results of a row are kept as JSON in
`--folder`, with their commit and tools, and the row is not run again until the sources change. The sweep
keeps its results too, so a run that was killed resumes where it was. If the sources changed without an effect
on figures, `--keep` accepts the rows, and the document names the commit of each. Exported files are deleted
once they are examined. docs/zoo.md is written when no row is missing; with `--unfinished` it is written
anyway, and names the rows that did not run.

Expect `MINUTES` on two cores, and at most `DISK_CAP_GB` of disk.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.studies.study import (
    CHECKOUT,
    EXPORT,
    RowError,
    begun,
    child_environment,
    child_report,
    finished,
    parser_of,
    product_digest,
    progress,
    rows_like,
    run_study,
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
DISK_CAP_GB = 10
SWEEP = "sweep"
"""The folder of the sweep, inside that of the study."""


def main() -> int:
    """Run the missing rows that the options select and write the document. Returns the exit status."""
    expected = f"Expected: {MINUTES} minutes in all, at most {DISK_CAP_GB} GB of disk."
    parser = parser_of("zoo", __doc__, expected, unfinished=True)
    parser.add_argument(
        "--ray", metavar="ADDRESS", help="export on the Ray cluster at ADDRESS, or auto for the local one"
    )
    given = begun(parser, ROWS)
    sources = product_digest()
    wanted = None if given.keep else sources
    wished = rows_like(ROWS, given.only)
    known = {row: finished(given.folder, row, wanted) for row in wished}
    todo = [row for row, result in known.items() if result is None or result.get("error")]
    if todo:
        run_sweep(todo, given.folder, ray=given.ray)
    for row in todo:
        result = {**collected(row, given.folder), "sources": sources, "commit": commit(), "tools": tools()}
        write_atomically(given.folder / f"{row.slug}.json", json.dumps(result, indent=1).encode())
        progress(f"{row.slug}: {result.get('error') or 'pass'}\n")
    results = {row: finished(given.folder, row, wanted) for row in ROWS}
    done = {row: result for row, result in results.items() if result is not None}
    if given.unfinished or len(done) == len(ROWS):
        write_atomically(DOCUMENT, document(done).encode())
        sys.stdout.write(f"written: {DOCUMENT}\n")
    else:
        for header, line in ((NETWORK_HEADER, network_cells), (FILES_HEADER, files_cells)):
            sys.stdout.write(table(header, [line(row, result) for row, result in done.items()]) + "\n\n")
    return 4 if any(row not in done or done[row].get("error") for row in wished) else 0


def run_sweep(
    rows: Sequence[Row],
    folder: Path,
    *,
    formats: Sequence[str] = FORMATS,
    precisions: Sequence[str] = PRECISIONS,
    ray: str | None = None,
) -> None:
    """Export the missing rows as one sweep, with progress on standard error.

    The results of rows tell which of them failed. The sweep, and all that it starts on this machine, ends
    with this process. Raises `SystemExit` if too little disk is free.
    """
    if shutil.disk_usage(folder).free < DISK_CAP_GB * 1e9:
        raise SystemExit(f"zoo: less than {DISK_CAP_GB} GB of disk are free in {folder}")
    wanted = folder / f"{SWEEP}.toml"
    wanted.write_text(sweep_toml(rows, formats, precisions))
    command = [sys.executable, *EXPORT, "--sweep", str(wanted), "--output-dir", str(folder / SWEEP)]
    child = subprocess.Popen(
        [*command, *(() if ray is None else ("--ray", ray))],
        stdout=subprocess.DEVNULL,
        env=child_environment(),
        start_new_session=True,
    )
    try:
        child.wait()
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        wanted.unlink()


def sweep_toml(rows: Sequence[Row], formats: Sequence[str], precisions: Sequence[str]) -> str:
    """The rows as the text of a file for --sweep."""
    lines = [f"format = {json.dumps(list(formats))}", f"precision = {json.dumps(list(precisions))}"]
    for row in rows:
        size = [] if row.size is None else [f"image_size = {row.size}"]
        lines += ["", "[[system]]", f'name = "{row.slug}"', f'model = "{row.model}"', *size]
    return "\n".join(lines) + "\n"


def collected(row: Row, folder: Path) -> dict[str, Any]:
    """All figures of one network for the tables; `error` if its export failed, or a file did not pass.

    Its files are deleted afterwards, with what the sweep kept of them, so that a failed row is run again.
    """
    place = folder / SWEEP / row.slug
    kept = sorted((folder / SWEEP).glob(f"{row.slug}-*-*.json"))
    results = [json.loads(path.read_bytes()) for path in kept]
    try:
        exports = [json.loads(path.read_bytes()) for path in sorted(place.glob("export-*.json"))]
        if not exports:
            raise RowError(next((one["error"] for one in results), "the sweep did not come to it"))
        summary = child_report([*EXPORT, *row.words, "--summary", "--json"])
        files = {f"{one['format']} {one['recipe']}": _file(one, place) for one in results}
    except RowError as failure:
        return {"error": str(failure)}
    finally:
        shutil.rmtree(place, ignore_errors=True)
        for path in kept:
            path.unlink()
    return {
        "input": summary["inputs"],
        "total": summary["total"],
        "batch_norms": exports[0]["batch_norms"],
        "refused": exports[0]["refusals"],
        "stages": exports[0]["seconds"],
        "files": files,
        "seconds": round(sum(sum(one["seconds"].values()) for one in exports), 1),
        "error": "; ".join(one["error"] for one in results if one["error"]) or None,
    }


def _file(one: dict[str, Any], place: Path) -> dict[str, Any]:
    said = ("verdict", "arithmetic", "not_run", "max_error")
    path = place / one["file"]
    operators = _operators(path) if one["file"] and path.exists() else None
    return {**{name: one[name] for name in said}, "operators": operators, "error": one["error"] or None}


def _operators(path: Path) -> int:
    """The number of operators of a file."""
    artifact = read_manifest(path)
    return len(format_named(artifact.format).operators(artifact))


if __name__ == "__main__":
    run_study("zoo", main)
