"""Reports on disk: written whole or not at all, read strictly.

    {"schema_version": 3, "reports": [{"kind": "latency" | "counts", ...}, ...]}

A latency report also holds its `summary` (median, percentiles, spread), for programs that do not compute it.
The summary follows from `samples_ms`, and is not read back.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.reports import schema
from benchmarks.reports.report import CountReport, LatencyReport, Report
from benchmarks.reports.statistics import summarise
from mocovit_deploy.errors import StableDeviceError, UsageError
from mocovit_deploy.files import write_atomically

SCHEMA_VERSION = 3
_MODELS = (".onnx", ".tflite", ".mlpackage")


def reports_json(reports: Sequence[Report]) -> str:
    """The JSON document that `mocovit-bench` prints with `--json` and writes with `--output`."""
    return schema.to_json({"schema_version": SCHEMA_VERSION, "reports": [_plain(one) for one in reports]})


def _plain(report: Report) -> Any:
    found = schema.plain(report)
    if isinstance(report, LatencyReport):
        found["summary"] = schema.plain(summarise(report.samples_ms))
    return found


def write_reports(path: Path, reports: Sequence[Report]) -> None:
    """Write reports to `path`; raises like `write_whole`."""
    write_whole(path, reports_json(reports))


def check_place(path: Path | None) -> None:
    """Raise `UsageError` for a path that cannot be written, before minutes of measuring. None is accepted."""
    if path is None:
        return
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; name a file in it")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}; make it first")
    if not os.access(path.absolute().parent, os.W_OK):
        raise UsageError(f"{path}: cannot be written (Permission denied)")


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all.

    Raises `StableDeviceError` for a full disk, `UsageError` for a path that cannot be written.
    """
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StableDeviceError(
                f"{path}: cannot be written ({error.strerror}); make room in {path.absolute().parent}"
            ) from None
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None


def _measure(path: Path) -> str:
    return f"measure first: mocovit-bench run {path} --output report.json, or mocovit-bench ab OLD NEW"


def read_reports(path: Path) -> tuple[Report, ...]:
    """Read a file of `write_reports`. Raises `UsageError`, which names the place, for anything else."""
    if path.suffix.lower() in _MODELS:
        raise UsageError(f"{path}: is a model, not a report; {_measure(path)}")
    document = schema.read_document(path)
    if isinstance(document, dict) and "golden_sha256" in document:
        raise UsageError(f"{path}: is the manifest of a file, not a report; {_measure(path.with_suffix(''))}")
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(f"{path}: report schema {version!r:.40}, this version reads {SCHEMA_VERSION}")
    members = document.get("reports")
    if not isinstance(members, list) or not members:
        raise UsageError(f"{path}: holds no reports")
    return tuple(_read_one(member, f"{path}: reports[{n}]") for n, member in enumerate(members))


def _read_one(member: Any, where: str) -> Report:
    kind = member.get("kind") if isinstance(member, dict) else None
    if kind == "latency":
        stated = {name: value for name, value in member.items() if name != "summary"}
        return schema.build_record(LatencyReport, stated, where)
    if kind == "counts":
        return schema.build_record(CountReport, member, where)
    raise UsageError(f"{where}: kind {kind!r:.40} is neither 'latency' nor 'counts'")
