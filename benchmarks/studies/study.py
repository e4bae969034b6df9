"""The shared parts of studies: rows that run in child processes, and whose results are kept in files.

A row is run again only if it failed, or if its sources changed: the digest of all files that could change it.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

from mocovit_deploy.files import write_atomically
from mocovit_deploy.report.commit import commit

CHECKOUT = Path(__file__).resolve().parents[2]
EXPORT = ("-m", "mocovit_deploy")
TIMEOUT_S = 1800
TOOLS = ("torch", "timm", "onnx", "onnxruntime", "coremltools", "litert-torch", "ai-edge-litert")


class Row(Protocol):
    """A row of any study."""

    @property
    def slug(self) -> str:
        """The name of the file with its result."""
        ...


AnyRow = TypeVar("AnyRow", bound=Row)


class RowError(Exception):
    """A child process ended without a report; the text is its last line."""


def parser_of(
    name: str, about: str | None, epilog: str = "", *, unfinished: bool = False
) -> argparse.ArgumentParser:
    """A parser with the options of every study; its description is the first line of `about`.

    `about` is the docstring of the study's module. `unfinished` adds the option of that name.
    """
    parser = argparse.ArgumentParser(description=(about or "").split("\n")[0], epilog=epilog)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="run rows like '*efficientvit*'")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("build", name),
        metavar="DIR",
        help="keep results there (%(default)s)",
    )
    parser.add_argument("--keep", action="store_true", help="accept results of earlier sources")
    if unfinished:
        parser.add_argument(
            "--unfinished", action="store_true", help="write the document even if rows are missing"
        )
    return parser


def begun(parser: argparse.ArgumentParser, rows: Sequence[Row]) -> argparse.Namespace:
    """Parse the options, make the folder, and let SIGTERM interrupt like Ctrl-C.

    Exits with status 2 if the pattern matches no row.
    """
    given = parser.parse_args()
    if not rows_like(rows, given.only):
        parser.error(f"no row is like {given.only!r} (there are {', '.join(row.slug for row in rows)})")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given.folder.mkdir(parents=True, exist_ok=True)
    return given


def rows_like(rows: Sequence[AnyRow], pattern: str) -> list[AnyRow]:
    """The rows whose slugs match `pattern`, in order."""
    return [row for row in rows if fnmatch.fnmatch(row.slug, pattern)]


@cache
def product_digest(*others: Path) -> str:
    """A digest that changes with any file of the product, and with `others`, files of the checkout."""
    total = hashlib.sha256()
    inside = [
        path for package in ("mocovit_deploy", "exporters") for path in (CHECKOUT / package).rglob("*.*")
    ]
    for path in [*sorted(one for one in inside if one.suffix in (".py", ".toml")), *others]:
        total.update(f"{path.relative_to(CHECKOUT)}\0".encode() + path.read_bytes())
    return total.hexdigest()[:16]


def tools() -> dict[str, str]:
    """The versions of the packages that write and run files."""
    return {name: metadata.version(name) for name in TOOLS}


def finished(folder: Path, row: Row, sources: str | None) -> dict[str, Any] | None:
    """The kept result of a row, failed or not; None if there is none of these sources (None for any)."""
    try:
        result: dict[str, Any] = json.loads((folder / f"{row.slug}.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return result if sources is None or result.get("sources") == sources else None


def child_environment() -> dict[str, str]:
    """The environment of this process, with the checkout first in PYTHONPATH."""
    path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def run_missing(
    given: argparse.Namespace,
    rows: Sequence[AnyRow],
    run_row: Callable[[AnyRow], dict[str, Any]],
    brief: Callable[[AnyRow, dict[str, Any]], str],
    sources_of: Callable[[AnyRow], str] | None = None,
) -> dict[AnyRow, dict[str, Any]]:
    """Run those of the rows that the options select and that have no result, or failed; return all results.

    `given` are the options of `begun`. Each result is kept with its sources, its commit and its seconds.
    `brief` is the text that is printed behind the row when it is done. `sources_of` gives the digest of all
    that could change a row; without it that is `product_digest()` for every row.
    """
    product = product_digest()

    def sources(row: AnyRow) -> str:
        return product if sources_of is None else sources_of(row)

    def known_result(row: AnyRow) -> dict[str, Any] | None:
        return finished(given.folder, row, None if given.keep else sources(row))

    selected = rows_like(rows, given.only)
    for number, row in enumerate(selected, 1):
        known = known_result(row)
        if known is None or known.get("error"):
            progress(f"[{number}/{len(selected)}] {row.slug} ...")
            start = time.monotonic()
            result = {**run_row(row), "sources": sources(row), "commit": commit(), "tools": tools()}
            result["row_s"] = round(time.monotonic() - start, 1)
            write_atomically(given.folder / f"{row.slug}.json", json.dumps(result, indent=1).encode())
            progress(f" {result['row_s']:.0f} s, {brief(row, result)}\n")
    results = {row: known_result(row) for row in rows}
    return {row: result for row, result in results.items() if result is not None}


def missing_rows(rows: Sequence[Row], done: Mapping[Any, Any]) -> list[str]:
    """The lines of a document that name the rows without a result; none if all have one."""
    left = [row.slug for row in rows if row not in done]
    return [f"**{len(left)} of {len(rows)} rows are missing**: {', '.join(left)}.", ""] if left else []


def commits_of(done: Mapping[Any, Mapping[str, Any]]) -> str:
    """The line of a document that names the commits of its rows."""
    return f"Rows of {', '.join(sorted({str(one['commit']) for one in done.values()})) or 'none'}."


def run_study(name: str, main: Callable[[], int]) -> NoReturn:
    """Exit with the status of `main`, or with 130 and a hint after an interrupt."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        progress(f"\n{name}: stopped; run it again to go on\n")
        sys.exit(130)


def progress(text: str) -> None:
    """Print text on standard error at once."""
    sys.stderr.write(text)
    sys.stderr.flush()


def child_report(words: list[str], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The JSON that a child process prints. The child, and all that it starts, ends with this process.

    Raises `RowError` if it prints none before `timeout_s`, or reports an error.
    """
    child = subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
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
