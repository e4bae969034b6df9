"""The table of faults in docs/phones.md, held against what a test has seen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from phone.desk import Outcome

PAGE = Path(__file__).parents[3] / "docs" / "phones.md"
_PREFIX = "mocovit-bench: error: "


@dataclass(frozen=True)
class Row:
    """What the table says of one fault."""

    message: str
    """As printed; `...` stands for what differs from case to case."""
    status: int | None
    """None where the next attempt decides it."""

    def says(self, line: str) -> bool:
        pattern = ".*".join(re.escape(part) for part in self.message.split("..."))
        return re.fullmatch(pattern, line.removeprefix(_PREFIX)) is not None


def rows(text: str | None = None) -> dict[str, Row]:
    """The table, by fault; of the page, or of a text like it."""
    table = (PAGE.read_text() if text is None else text).partition("| fault | message | exit |\n")[2]
    found: dict[str, Row] = {}
    for line in table.splitlines()[1:]:
        if not line.startswith("|"):
            break
        fault, message, status = (cell.strip() for cell in line.strip("|").split(" | "))
        assert fault not in found, f"{fault} stands twice in {PAGE.name}"
        found[fault] = Row(message, int(status) if status.isdecimal() else None)
    return found


def assert_documented(done: Outcome, fault: str) -> None:
    """The row `fault` says what was seen: message, word for word, and exit status."""
    row = rows()[fault]
    assert row.status is None or done.status == row.status, done.err
    lines = [done.last] if row.status else done.err.splitlines()
    assert any(row.says(line) for line in lines), (row.message, done.err)
