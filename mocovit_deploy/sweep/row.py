"""One row of a sweep: an export of one network to one format in one precision, as plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocovit_deploy.artifacts.provenance import code_digest
from mocovit_deploy.files import digest, file_name

LASTING = (2, 3, 4, 5, 8)
"""Exit statuses of failures that another try would repeat. After any other failure a row is run again."""


@dataclass(frozen=True)
class Row:
    """One export to run."""

    system: str
    """The name of the network."""
    format: str
    recipe: str
    words: tuple[str, ...]
    """The options of mocovit-export, without format, precision and folder."""

    @property
    def slug(self) -> str:
        """The name of its result in the folder of the sweep, without suffix."""
        return file_name(f"{self.system}-{self.format}-{self.recipe}")

    @property
    def folder(self) -> str:
        """The folder for its files and those of the network's other rows."""
        return file_name(self.system)

    def key(self) -> str:
        """A digest of everything that can change the result: the options, the files they name, this code.

        Files inside folders of images are not included.
        """
        named = (Path(word.partition("=")[2]) for word in self.words)
        files = {str(path): digest(path) for path in named if path.is_file()}
        text = json.dumps([self.words, files, code_digest()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class RowResult:
    """The result of a row; None stands for what is not known."""

    system: str
    format: str
    recipe: str
    key: str
    """`Row.key` when it was run."""
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
    """Accuracy lost on labelled images, in percentage points."""
    drop_high_points: float | None = None
    """The upper end of its 95 % interval."""
    milliseconds: float | None = None
    modelled: bool = False
    """Whether the milliseconds are modelled from counts instead of measured."""
    instructions: int | None = None

    @property
    def passed(self) -> bool:
        """Whether the row has a file that passed."""
        return self.exit_status == 0

    @property
    def lasts(self) -> bool:
        """Whether another run would have the same result."""
        return self.passed or self.exit_status in LASTING


def failure_of(row: Row, exit_status: int, error: str) -> RowResult:
    """The result of a row without a file."""
    return RowResult(
        system=row.system,
        format=row.format,
        recipe=row.recipe,
        key=row.key(),
        exit_status=exit_status,
        error=error,
    )


def result_of(row: Row, file: Mapping[str, Any], size_bytes: int | None) -> RowResult:
    """The result of a row from the entry of its file in the JSON of mocovit-export."""
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
