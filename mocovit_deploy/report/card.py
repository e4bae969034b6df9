"""The facts of an export as a model card in Markdown, for the repository that holds the files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mocovit_deploy.report.choice import caveats_of, choices_of, cost_said
from mocovit_deploy.report.delegates import delegates_said
from mocovit_deploy.report.facts import ExportFacts
from mocovit_deploy.report.words import ACCURACY, DRAWN, FILES, RANGE, accuracy_row, file_row, name_of
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.terminal.table import markdown_table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")


def plain(words: str) -> str:
    r"""Text on one line, with every special character of Markdown escaped.

    >>> plain("a|b <i>\n# no")
    'a\\|b \\<i\\>\\\\n\\# no'
    """
    return _SPECIAL.sub(r"\\\1", printable(words))


def model_card(facts: ExportFacts) -> str:
    """The whole card."""
    return "\n".join(_lines(facts)) + "\n"


def _lines(facts: ExportFacts) -> Iterator[str]:
    yield f"# {plain(facts.model)}\n"
    for name, value in facts.said.items():
        yield f"{plain(name)}: {plain(value)}  "
    yield f"Weights: {plain(facts.weights)}  "
    yield f"Input: {plain(facts.inputs)}; {plain(facts.preprocessing)}  "
    if facts.labels:
        some = ", ".join(map(plain, facts.labels[:5]))
        yield f"Classes: {len(facts.labels)} ({some}{', ...' if len(facts.labels) > 5 else ''})  "
    yield "\n## Which file\n"
    for choice in choices_of(facts):
        name = "no file" if choice.file is None else plain(choice.file.name)
        yield f"- **{plain(choice.platform)}: {name}.** {plain(choice.why)}"
    yield from (f"- {plain(said)}" for said in caveats_of(facts))
    yield "\n## Files\n"
    yield _table(FILES, [file_row(one) for one in facts.files])
    yield f"\n{RANGE}"
    if any(one.accuracy for one in facts.files):
        yield "\n## Accuracy\n"
        yield _table(ACCURACY, [accuracy_row(one) for one in facts.files])
    timed = [(one.name, cost_said(one)) for one in facts.files if cost_said(one)]
    if timed:
        yield "\n## Time\n"
        yield _table(("file", "one inference"), timed)
    told = [(name_of(one), delegates_said(one.readiness)) for one in facts.files if one.readiness]
    if told:
        yield "\n## Delegates\n"
        yield _table(("file", "operators taken"), told)
        yield f"\n{DRAWN}"
    yield "\n## Limits\n"
    yield "- Proven against the original network: what that gets wrong, these files get wrong too."
    for one in facts.files:
        yield from (f"- {plain(name_of(one))}: {plain(said)}" for said in (*one.flips, *one.notes))
        if one.not_run:
            yield f"- {plain(one.name)}: {plain(one.not_run)} was not run, and is not proven."
    yield from (f"- {plain(said)}" for said in facts.notes)
    yield "\n## Conditions\n"
    yield _table(("condition", "value"), facts.conditions.items())


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return markdown_table(header, [tuple(map(plain, row)) for row in rows])
