"""The cost of operators: by block of the network, by kind, and one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.reports.report import CountedOperator, TimedOperator
from mocovit_deploy.report.bars import Bar, bars, block_of, grouped
from mocovit_deploy.report.digits import figure, rough, share
from mocovit_deploy.report.markup import Html, folded, join, tag

_MOST_BARS = 24
_OUTSIDE = "(no module)"
Operators = Sequence[TimedOperator | CountedOperator]


def operator_bars(operators: Operators) -> Html:
    """Three tables of bars, the third folded. There must be at least one operator."""
    timed = isinstance(operators[0], TimedOperator)
    costs = [op.cost for op in operators]
    total = sum(costs) or 1.0

    def said(amount: float) -> str:
        if timed:
            return f"{rough(amount)} ms ({share(amount, total, digits=0)})"
        return f"{figure(amount)} ({share(amount, total)})"

    def groups(names: Sequence[str]) -> Html:
        found = grouped(zip(names, costs, strict=True))
        rows = [
            Bar(name, f"{count} operator{'s'[: count != 1]}", amount, said(amount))
            for name, (amount, count) in found.items()
        ]
        return _cut(rows, said)

    ordered = sorted(operators, key=lambda op: op.cost, reverse=True)
    each = [Bar(op.where or _OUTSIDE, op.kind, op.cost, said(op.cost)) for op in ordered]
    return join(
        (
            tag("h3", f"Blocks, {'mean milliseconds' if timed else 'instructions'}"),
            groups([block_of(op.where) if op.where else _OUTSIDE for op in operators]),
            tag("h3", "Kinds of operators"),
            groups([op.kind for op in operators]),
            folded(f"Each of {len(operators)} operators", _cut(each, said)),
        )
    )


def _cut(rows: Sequence[Bar], said: Callable[[float], str]) -> Html:
    rest = rows[_MOST_BARS:]
    more = (
        tag("p", f"{len(rest)} more: {said(sum(row.amount for row in rest))}.", class_="faint")
        if rest
        else ""
    )
    return join((bars(rows[:_MOST_BARS], kind="d"), more))
