"""The result of checking a contract, as plain data, and the error that ends the command."""

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
    """The bound's name in the contract; "export" for the export's own verdict."""
    bound: str
    """The bound for people, as in "at most 1.0e-05"."""
    limit: float | None
    """The bound as a number; None for "export"."""
    verdict: Verdict
    reason: str
    """Why it did not pass, one sentence; empty if it passed."""
    measured: str = "-"
    """The measured value for people."""
    value: float | None = None
    """The measured value; None if it was not measured, or is not a finite number."""
    margin: str = "-"
    """How far the value is on the passing side, for people."""
    by: str = ""
    """The runtime and the arithmetic that the value is from."""
    detail: str = ""
    """The output, the sample or the operators that it comes from."""
    error: DeployError | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """The bound with its limit, as in "max_error at most 1.0e-05"."""
        return f"{self.word} {self.bound}".rstrip()


@dataclass(frozen=True)
class FileResult:
    """One file of a model and its checks."""

    model: str
    title: str
    """Format and precision, and the target if it is not this host."""
    path: Path | None
    """None if there is no file."""
    how: str
    """ "found", "exported", "exported and rejected" or "not exported"."""
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """Model and title, which name the file in messages."""
        return f"{self.model} {self.title}"


@dataclass(frozen=True)
class ContractResult:
    """A checked contract: all files and their checks."""

    contract: Path
    files: tuple[FileResult, ...]
    started: str
    """UTC, as in "2026-11-24T22:15:00"."""
    seconds: float
    tools: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> tuple[tuple[FileResult, Check], ...]:
        """Every check with its file, in the contract's order."""
        return tuple((file, check) for file in self.files for check in file.checks)

    def count(self, verdict: Verdict) -> int:
        """The number of checks with this verdict."""
        return sum(check.verdict == verdict for _, check in self.rows)

    @property
    def verdict(self) -> str:
        """Fail if any bound failed; pass if there are bounds and all passed; else not run."""
        if self.count(FAIL):
            return FAIL
        return PASS if self.rows and self.count(PASS) == len(self.rows) else NOT_RUN

    @property
    def summary(self) -> str:
        """How many bounds hold, failed and were not run, in words."""
        failed, missing = self.count(FAIL), self.count(NOT_RUN)
        parts = [f"{self.count(PASS)} of {len(self.rows)} bounds hold"]
        parts += [f"{failed} failed"] * bool(failed) + [f"{missing} not run"] * bool(missing)
        return ", ".join(parts)

    @property
    def error(self) -> DeployError | None:
        """The missed bound's error with the lowest exit status; None if every bound holds."""
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
        """The exit status of `error`; 0 if every bound holds."""
        return self.error.exit_status if self.error is not None else 0


def finite(value: float) -> float | None:
    """`value`, or None if it is NaN or infinite."""
    return value if math.isfinite(value) else None


def worst_first(rows: tuple[tuple[FileResult, Check], ...]) -> list[tuple[FileResult, Check]]:
    """Rows sorted by verdict: failed, then not run, then passed; each in the contract's order."""
    order = (FAIL, NOT_RUN, PASS)
    return sorted(rows, key=lambda row: order.index(row[1].verdict))
