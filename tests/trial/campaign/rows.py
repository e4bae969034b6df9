"""One small JSON file for each row of the trial, so that a campaign goes on where it was stopped.

build/trial/networks/grammar-17.3fa90b12.json

The second part is the digest of the sources that were tried, the product's and the trial's own: a row of
other sources is not taken for one of these.
"""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mocovit_deploy.files import write_atomically

ROOT = Path(__file__).parents[3]
PARTS = ("networks", "defects", "interruptions")
SOURCES = ("mocovit_deploy", "exporters", "benchmarks", "tests/trial/campaign", "tests/helpers/planting")

Row = dict[str, Any]


@functools.cache
def digest() -> str:
    """Of the sources that decide what a row says."""
    total = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            total.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:8]


@functools.cache
def commit() -> str:
    """The commit that is checked out, with a plus sign where files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True).stdout.strip()  # noqa: S607

    changed = git("status", "--porcelain", "--", *SOURCES)
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+" if changed else "")


def kept(
    folder: Path, part: str, key: str, make: Callable[[], Row], *, any_sources: bool = False
) -> tuple[Row, bool]:
    """The row of `key` if there is one of these sources (or `any_sources`), else what `make` gives.

    Returns the row, and whether it is new.
    """
    path = folder / part / f"{key}.{digest()}.json"
    older = (
        sorted(path.parent.glob(f"{key}.*.json"), key=lambda one: one.stat().st_mtime) if any_sources else []
    )
    for found in (path, *reversed(older)):
        if found.exists():
            return json.loads(found.read_text()), False
    row = {"key": key, "part": part, "sources": digest(), "commit": commit(), **make()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(row, indent=1) + "\n").encode())
    return row, True


def all_rows(folder: Path, part: str) -> Iterator[Row]:
    """The newest row of every key."""
    newest: dict[str, Path] = {}
    for path in sorted((folder / part).glob("*.json"), key=lambda one: one.stat().st_mtime):
        newest[path.name.rsplit(".", 2)[0]] = path
    for key in sorted(newest):
        yield json.loads(newest[key].read_text())
