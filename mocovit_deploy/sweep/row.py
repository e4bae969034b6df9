"""One row of a sweep: an export of one network to one format in one precision, as plain data."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocovit_deploy.artifacts.provenance import code_digest
from mocovit_deploy.files import digest

LASTING = (2, 3, 4, 5, 8)
"""Exit statuses of failures that a second try would repeat; after any other a row is run again."""


@dataclass(frozen=True)
class Row:
    """What to run: `words` are those of mocovit-export, without where to write."""

    system: str
    format: str
    recipe: str
    words: tuple[str, ...]

    @property
    def slug(self) -> str:
        """Its name in the folder of the sweep."""
        return _slug(f"{self.system}-{self.format}-{self.recipe}")

    @property
    def folder(self) -> str:
        """Where its files go, with those of the network's other rows."""
        return _slug(self.system)

    def key(self) -> str:
        """Changes with anything that could change the result: the words, the files they name, this code.

        Folders of images are not looked into.
        """
        named = (Path(word.partition("=")[2]) for word in self.words)
        files = {str(path): digest(path) for path in named if path.is_file()}
        text = json.dumps([self.words, files, code_digest()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _slug(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", words)


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """What became of a row. What is not known is None."""

    system: str
    format: str
    recipe: str
    key: str
    exit_status: int
    error: str = ""
    """Why there is no file that passed; empty if there is one."""
    verdict: str = ""
    arithmetic: str = ""
    """What judged the file: half precision, where that was run."""
    not_run: str = ""
    file: str = ""
    sha256: str = ""
    size_bytes: int | None = None
    max_error: float | None = None
    """Of the worst output; None where one is not finite."""
    sqnr_db: float | None = None
    drop_points: float | None = None
    """Accuracy lost on labelled images, with the upper end of its 95 % interval."""
    drop_high_points: float | None = None
    milliseconds: float | None = None
    modelled: bool = False
    """Whether the milliseconds are modelled from counts, and not measured."""
    instructions: int | None = None

    @property
    def passed(self) -> bool:
        return self.exit_status == 0

    @property
    def lasts(self) -> bool:
        """Whether running it again would give the same."""
        return self.passed or self.exit_status in LASTING


def failure_of(row: Row, exit_status: int, error: str) -> RowResult:
    """The result of a row that has no file."""
    return RowResult(
        system=row.system,
        format=row.format,
        recipe=row.recipe,
        key=row.key(),
        exit_status=exit_status,
        error=error,
    )


def result_of(row: Row, file: Mapping[str, Any], size_bytes: int | None) -> RowResult:
    """A row's result from what the JSON of mocovit-export says of its file."""
    common: dict[str, Any] = {
        "system": row.system,
        "format": row.format,
        "recipe": row.recipe,
        "key": row.key(),
    }
    judged = file["parity"]
    parity = judged.get("half") or judged
    outputs = parity["outputs"] if all(one["finite"] for one in parity["outputs"]) else []
    drop = (file["accuracy"] or {}).get("drop") or {}
    cost = file["measured"] or {}
    unmeasured = cost.get("exit_status", 0)
    measured, modelled = cost.get("median_ms"), cost.get("modelled_ms")
    return RowResult(
        **common,
        exit_status=file["exit_status"] or unmeasured,
        error=file["error"] or (cost["why_not"] if unmeasured else ""),
        verdict=judged["verdict"],
        arithmetic=parity["arithmetic"],
        not_run=judged["not_run"],
        file=Path(file["path"]).name if file["path"] else "",
        sha256=file["sha256"] or "",
        size_bytes=size_bytes,
        max_error=max((one["max_error"] for one in outputs), default=None),
        sqnr_db=min((one["sqnr_db"] for one in outputs if one["sqnr_db"] is not None), default=None),
        drop_points=None if not drop else 100 * drop["value"],
        drop_high_points=None if not drop else 100 * drop["high"],
        milliseconds=modelled if measured is None else measured,
        modelled=measured is None and modelled is not None,
        instructions=cost.get("instructions"),
    )
