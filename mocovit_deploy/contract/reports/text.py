"""A checked contract as a table for a terminal."""

from __future__ import annotations

from mocovit_deploy.contract.result import ContractResult
from mocovit_deploy.terminal.table import table

HEADER = ("file", "bound", "measured", "margin", "verdict")


def as_text(result: ContractResult) -> str:
    """The table, and a line with the summary and the seconds."""
    rows = [
        (file.subject, check.name, check.measured, check.margin, check.verdict) for file, check in result.rows
    ]
    return f"{table(HEADER, rows)}\n\n{result.contract}: {result.summary}, {result.seconds:.0f} s\n"
