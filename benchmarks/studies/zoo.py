"""Every network of the field through the whole line: one row of each table of docs/zoo.md.

    python -m benchmarks.studies.zoo [--only PATTERN] [--folder DIR] [--keep] [--unfinished]

A row is three child processes: `mocovit-export --summary` for parameters and MACs, `mocovit-export` with all
formats and precisions, and one that counts operators. Its results go to a JSON file in `--folder` when it is
done, with the commit and the tools it is of, and a row that has one is not run again until the sources
change: a run that was killed goes on where it was. Sources change for reasons that move no number; `--keep`
then keeps the rows there are, and the document says which commit each row is of. The files themselves are
deleted when they are counted. docs/zoo.md is written when no row is missing, or with `--unfinished`, when it
names the rows that did not run.

Expect `MINUTES` on two cores, and at most `DISK_CAP_GB` of disk at a time.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

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
from mocovit_deploy.files import write_atomically
from mocovit_deploy.formats import FORMATS, format_named
from mocovit_deploy.terminal.table import table

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENT = CHECKOUT / "docs" / "zoo.md"
EXPORT = ("-m", "mocovit_deploy")
MINUTES = 60
DISK_CAP_GB = 3
TIMEOUT_S = 1800


TOOLS = ("torch", "timm", "onnx", "onnxruntime", "coremltools", "litert-torch", "ai-edge-litert")


class RowError(Exception):
    """A child ended without a report; the text is its last line."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        epilog=f"Expected: {MINUTES} minutes in all, at most {DISK_CAP_GB} GB of disk at a time.",
    )
    parser.add_argument("--only", default="*", metavar="PATTERN", help="rows like '*efficientvit*'")
    parser.add_argument(
        "--folder", type=Path, default=Path("build", "zoo"), metavar="DIR", help="%(default)s"
    )
    parser.add_argument("--keep", action="store_true", help="rows of earlier sources count")
    parser.add_argument("--unfinished", action="store_true", help="write docs/zoo.md though rows are missing")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given.folder.mkdir(parents=True, exist_ok=True)
    sources = sources_digest()
    wanted = None if given.keep else sources
    chosen = [row for row in ROWS if fnmatch.fnmatch(row.slug, given.only)]
    if not chosen:
        sys.stderr.write(
            f"zoo: no row is like {given.only!r} (there are {', '.join(r.slug for r in ROWS)})\n"
        )
        return 2
    for number, row in enumerate(chosen, 1):
        known = finished(given.folder, row, wanted)
        if known is None or known.get("error"):
            _progress(f"[{number}/{len(chosen)}] {row.slug} ...")
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
    return 4 if any(row not in done or done[row].get("error") for row in chosen) else 0


def sources_digest() -> str:
    """Changes with any file that could change a row."""
    total = hashlib.sha256()
    for package in ("mocovit_deploy", "exporters"):
        for path in sorted((CHECKOUT / package).rglob("*.*")):
            if path.suffix not in (".py", ".toml"):
                continue
            total.update(f"{path.relative_to(CHECKOUT)}\0".encode() + path.read_bytes())
    return total.hexdigest()[:16]


def commit() -> str:
    """The checkout's commit in short, "+ changes" where files of it are not committed; "" without git."""
    git = shutil.which("git")
    if git is None:
        return ""

    def said(*words: str) -> str:
        done = subprocess.run(
            [git, *words], check=False, cwd=CHECKOUT, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = said("status", "--porcelain", "--untracked-files=no", "--", "mocovit_deploy", "exporters")
    return said("rev-parse", "--short=10", "HEAD") + (" + changes" if changed else "")


def tools() -> dict[str, str]:
    """What wrote and ran the files."""
    return {name: metadata.version(name) for name in TOOLS}


def finished(folder: Path, row: Row, sources: str | None) -> dict[str, Any] | None:
    """The row's result, where it is of these sources (None: of any); one that failed is run again."""
    try:
        result: dict[str, Any] = json.loads((folder / f"{row.slug}.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return result if sources is None or result.get("sources") == sources else None


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
    """The largest error of a file; None where there is none, or one is not a number."""
    known = [error for error in errors if error is not None]
    return max(known) if known and len(known) == len(errors) else None


def child_report(words: list[str], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The JSON that a child prints. The child, and whatever it starts, ends with this process."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]),
    }
    child = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        out, err = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise RowError(f"took longer than {timeout_s:g} s") from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    try:
        report: dict[str, Any] = json.loads(out)
    except ValueError:
        last = err.strip().splitlines()[-1:] or ["nothing said"]
        raise RowError(f"{last[0]} (exit status {child.returncode})") from None
    if "kind" in report:  # the document of a command that failed
        raise RowError(f"{report['error']} (exit status {report['exit_status']})")
    return report


def _progress(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _progress("\nzoo: stopped; run it again to go on\n")
        sys.exit(130)
