"""What a checked contract came to, as plain data, and the error that ends the command."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from mocovit_deploy.errors import DeployError
from mocovit_deploy.parity.decide import FAIL, NOT_RUN, PASS, Verdict


@dataclass(frozen=True)
class Check:
    """One bound of one file: pass, fail, or not run with a reason."""

    word: str
    bound: str
    """In words, as in "at most 1.0e-05"."""
    limit: float | None
    verdict: Verdict
    reason: str
    """One sentence; empty if it passed."""
    measured: str = "-"
    value: float | None = None
    """None if it was not measured, or is not a finite number."""
    margin: str = "-"
    by: str = ""
    detail: str = ""
    error: DeployError | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.word} {self.bound}".rstrip()


@dataclass(frozen=True)
class FileResult:
    """One file of a model and its checks."""

    model: str
    title: str
    """Format and precision, and where it was run if not here."""
    path: Path | None
    how: str
    """ "found", "exported", or what else became of it."""
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        return f"{self.model} {self.title}"


@dataclass(frozen=True)
class ContractResult:
    contract: Path
    files: tuple[FileResult, ...]
    started: str
    """UTC, as in "2026-11-24T22:15:00"."""
    seconds: float
    tools: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> tuple[tuple[FileResult, Check], ...]:
        return tuple((file, check) for file in self.files for check in file.checks)

    def count(self, verdict: Verdict) -> int:
        return sum(check.verdict == verdict for _, check in self.rows)

    @property
    def verdict(self) -> str:
        """Pass only where every bound passed; nothing checked is not run."""
        if self.count(FAIL):
            return FAIL
        return PASS if self.rows and self.count(PASS) == len(self.rows) else NOT_RUN

    @property
    def summary(self) -> str:
        failed, missing = self.count(FAIL), self.count(NOT_RUN)
        parts = [f"{self.count(PASS)} of {len(self.rows)} bounds hold"]
        parts += [f"{failed} failed"] * bool(failed) + [f"{missing} not run"] * bool(missing)
        return ", ".join(parts)

    @property
    def error(self) -> DeployError | None:
        """The error with the lowest exit status, which counts the others; None if every bound holds."""
        missed = [(file, check) for file, check in self.rows if check.error is not None]
        if not missed:
            return None
        file, check = min(missed, key=lambda row: row[1].error.exit_status if row[1].error else 0)
        assert check.error is not None
        error = type(check.error)(f"{self.contract}: {self.summary}; {file.subject}: {check.reason}")
        error.__cause__ = check.error
        return error

    @property
    def exit_status(self) -> int:
        return self.error.exit_status if self.error is not None else 0


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def worst_first(rows: tuple[tuple[FileResult, Check], ...]) -> list[tuple[FileResult, Check]]:
    """Failed, then not run, then passed; in the contract's order within each."""
    order = (FAIL, NOT_RUN, PASS)
    return sorted(rows, key=lambda row: order.index(row[1].verdict))
