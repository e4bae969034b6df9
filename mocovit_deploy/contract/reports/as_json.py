"""A checked contract as a JSON report."""

from __future__ import annotations

from typing import Any

from mocovit_deploy.contract.result import Check, ContractResult, FileResult

SCHEMA_VERSION = 1
FILE_NAME = "parity-contract.json"


def as_json(result: ContractResult) -> dict[str, Any]:
    """Plain data for JSON. A value that is NaN or infinite is null, and `measured` names it as text."""
    return {
        "schema_version": SCHEMA_VERSION,
        "contract": str(result.contract),
        "verdict": result.verdict,
        "exit_status": result.exit_status,
        "summary": result.summary,
        "started": result.started,
        "seconds": round(result.seconds, 3),
        "tools": dict(result.tools),
        "files": [_file(file) for file in result.files],
    }


def _file(file: FileResult) -> dict[str, Any]:
    return {
        "model": file.model,
        "file": file.title,
        "path": None if file.path is None else str(file.path),
        "how": file.how,
        "notes": list(file.notes),
        "checks": [_check(check) for check in file.checks],
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "word": check.word,
        "bound": check.bound,
        "limit": check.limit,
        "value": check.value,
        "measured": check.measured,
        "margin": check.margin,
        "verdict": check.verdict,
        "reason": check.reason,
        "by": check.by,
        "detail": check.detail,
        "exit_status": 0 if check.error is None else check.error.exit_status,
        "seconds": round(check.seconds, 3),
    }
