"""What all studies share: rows that are run in child processes, kept in files, and not run again.

The sources of a row are the digest of every file that could change it.
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
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, TypeVar

CHECKOUT = Path(__file__).resolve().parents[2]
EXPORT = ("-m", "mocovit_deploy")
TIMEOUT_S = 1800
TOOLS = ("torch", "timm", "onnx", "onnxruntime", "coremltools", "litert-torch", "ai-edge-litert")


class Row(Protocol):
    """A row of any study."""

    @property
    def slug(self) -> str:
        """What its result is kept under."""
        ...


AnyRow = TypeVar("AnyRow", bound=Row)


class RowError(Exception):
    """A child ended without a report; the text is its last line."""


def parser_of(name: str, about: str | None, epilog: str = "") -> argparse.ArgumentParser:
    """The options every study has; `about` is its module's docstring, of which the first line is shown."""
    parser = argparse.ArgumentParser(description=(about or "").split("\n")[0], epilog=epilog)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="rows like '*efficientvit*'")
    parser.add_argument("--folder", type=Path, default=Path("build", name), metavar="DIR", help="%(default)s")
    parser.add_argument("--keep", action="store_true", help="rows of earlier sources count")
    return parser


def begun(parser: argparse.ArgumentParser, rows: Sequence[Row]) -> argparse.Namespace:
    """The options given, with the folder made and SIGTERM as good as Ctrl-C.

    Ends with status 2 for a pattern that is like no row.
    """
    given = parser.parse_args()
    if not rows_like(rows, given.only):
        parser.error(f"no row is like {given.only!r} (there are {', '.join(row.slug for row in rows)})")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given.folder.mkdir(parents=True, exist_ok=True)
    return given


def rows_like(rows: Sequence[AnyRow], pattern: str) -> list[AnyRow]:
    """The rows like `pattern`, in order."""
    return [row for row in rows if fnmatch.fnmatch(row.slug, pattern)]


def product_digest() -> str:
    """Changes with any file that could change a row."""
    total = hashlib.sha256()
    for package in ("mocovit_deploy", "exporters"):
        for path in sorted((CHECKOUT / package).rglob("*.*")):
            if path.suffix not in (".py", ".toml"):
                continue
            total.update(f"{path.relative_to(CHECKOUT)}\0".encode() + path.read_bytes())
    return total.hexdigest()[:16]


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


def child_environment() -> dict[str, str]:
    """This process's own, with the checkout first where Python looks for packages."""
    path = os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


def child_report(words: list[str], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The JSON that a child prints. The child, and all that it starts, ends with this process."""
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
