"""mocovit-parity --contract: check every bound and write the reports, then raise the worst miss."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mocovit_deploy.contract.check import check_contract
from mocovit_deploy.contract.read import read_contract
from mocovit_deploy.contract.reports import as_json, junit, markdown
from mocovit_deploy.contract.reports.text import as_text
from mocovit_deploy.contract.result import ContractResult
from mocovit_deploy.errors import UsageError
from mocovit_deploy.files import write_atomically
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.terminal.quiet import quiet


def run_contract(
    path: Path, output_dir: Path, report_dir: Path | None, *, fresh: bool, as_json_report: bool, verbose: bool
) -> int:
    """Check the contract at `path`. Returns 0 if every bound holds, else raises the error of the worst miss.

    Raises `UsageError` before anything is exported for a contract with mistakes and for a report folder that
    cannot be written.
    """
    contract = read_contract(path)
    if report_dir is not None:
        _prepare(report_dir)
    with quiet(not verbose) as stderr:
        result = check_contract(
            contract, output_dir, fresh=fresh, say=lambda line: print(line, file=stderr, flush=True)
        )
    for file in result.files:
        for note in file.notes:
            sys.stderr.write(f"note: {file.subject}: {note}\n")
    if report_dir is not None:
        _write(report_dir, result)
    sys.stdout.write(_json(result) if as_json_report else as_text(result))
    for file, check in result.rows:
        if check.verdict != PASS:
            sys.stderr.write(f"{file.subject}: {check.verdict}: {check.reason}\n")
    if result.error is not None:
        raise result.error
    return 0


def _json(result: ContractResult) -> str:
    return json.dumps(as_json.as_json(result), indent=2, allow_nan=False) + "\n"


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot write there ({error.strerror}); choose another --report-dir"
        ) from None


def _write(folder: Path, result: ContractResult) -> None:
    reports = (
        (as_json.FILE_NAME, _json(result)),
        (junit.FILE_NAME, junit.junit(result)),
        (markdown.FILE_NAME, markdown.markdown(result)),
    )
    for name, content in reports:
        try:
            write_atomically(folder / name, content.encode())
        except OSError as error:
            raise UsageError(f"{folder / name}: cannot be written ({error.strerror})") from None
