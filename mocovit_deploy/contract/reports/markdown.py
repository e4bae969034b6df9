"""A checked contract as a comment on a pull request: one table, with bounds that did not pass first."""

from __future__ import annotations

import re

from mocovit_deploy.contract.result import Check, ContractResult, FileResult, worst_first
from mocovit_deploy.parity.decide import PASS

FILE_NAME = "parity-contract.md"
LARGEST = 65_536
"""Characters that GitHub accepts in one comment."""
LONGEST_CELL = 400
_HEAD = (
    "| verdict | file | bound | measured | margin | measured by, or why not |\n|---|---|---|---|---|---|\n"
)


def markdown(result: ContractResult) -> str:
    """The report as Markdown, never longer than `LARGEST`.

    Rows that do not fit are left out and counted; the passed bounds are the last, so they are left out first.
    """
    title = f"### Parity contract: {result.verdict}"
    head = f"{title}\n\n{_text(str(result.contract))}: {result.summary}.\n\n{_HEAD}"
    notes = [f"- {_text(f'{file.subject}: {note}')}\n" for file in result.files for note in file.notes]
    tail = f"\n{result.seconds:.0f} s; {', '.join(' '.join(tool) for tool in result.tools)}\n"
    room = LARGEST - len(head) - len(tail) - 200
    rows = _fitting(
        [_row(*row) for row in worst_first(result.rows)], room, "| | ... and {} more bounds | | | | |\n"
    )
    room -= sum(map(len, rows))
    notes = _fitting(notes, room, "- ... and {} more notes\n")
    return head + "".join(rows) + ("\n" if notes else "") + "".join(notes) + tail


def _fitting(lines: list[str], room: int, more: str) -> list[str]:
    """The first lines that fit into `room` characters, and a line that counts the rest."""
    kept: list[str] = []
    for line in lines:
        if len(line) > room:
            return [*kept, more.format(len(lines) - len(kept))]
        kept.append(line)
        room -= len(line)
    return kept


def _row(file: FileResult, check: Check) -> str:
    verdict = check.verdict if check.verdict == PASS else f"**{check.verdict}**"
    why = check.reason or ", ".join(part for part in (check.by, check.detail) if part)
    cells = (file.subject, check.name, check.measured, check.margin, why)
    return f"| {' | '.join((verdict, *map(_text, cells)))} |\n"


def _text(words: str) -> str:
    """One line escaped for a cell of a Markdown table: no markup, and no @ that would notify a person."""
    line = " ".join(words.split())
    short = line if len(line) <= LONGEST_CELL else f"{line[: LONGEST_CELL - 4]} ..."
    return re.sub(r"[\\|*`\[\]<>~]", r"\\\g<0>", short).replace("@", "&#64;")
