"""The page of one export: which file to take and why, then the facts behind that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mocovit_deploy.report.bars import Bar, bars
from mocovit_deploy.report.choice import Choice, caveats_of, choices_of
from mocovit_deploy.report.curves import errors_over_depth, legend
from mocovit_deploy.report.delegates import delegates
from mocovit_deploy.report.digits import figure, share
from mocovit_deploy.report.facts import Cost, ExportFacts, FileFacts, Rewriting
from mocovit_deploy.report.markup import Html, breakable, drawing, folded, join, listed, note, table, tag
from mocovit_deploy.report.page import Part, page
from mocovit_deploy.report.words import (
    ACCURACY,
    FILES,
    FORMAT_NAMES,
    RANGE,
    accuracy_row,
    file_row,
    name_of,
    title_of,
    verdict_of,
)
from mocovit_deploy.terminal.table import megabytes

_WORST_LAYERS = 8
_MOST_KINDS = 16
_LEAST_SHOWN_BYTES = 50
"""Blocks with fewer bytes of weights are left out, as they would be shown as 0.0 kB."""


def export_page(facts: ExportFacts) -> str:
    """The whole page as text."""
    lead = join((*map(_choice, choices_of(facts)), *map(note, caveats_of(facts)), _network(facts)))
    made = (
        _files,
        _accuracy,
        _time,
        _layers,
        _rewrites,
        _sizes,
        _operators,
        delegates,
        _stages,
        _conditions,
    )
    return page(title_of(facts), lead, [part for make in made for part in make(facts)])


def _choice(choice: Choice) -> Html:
    if choice.file is None:
        return note(join((tag("b", f"{choice.platform}: no file."), f" {choice.why}")), kind="bad")
    name = tag("span", breakable(choice.file.name), class_="name")
    return note(
        join((tag("b", f"{choice.platform}: ", name), " ", tag("br"), choice.why)),
        kind="good",
    )


def _network(facts: ExportFacts) -> Html:
    said = f"{facts.model}, weights {facts.weights}. Takes {facts.inputs}: {facts.preprocessing}."
    made = " at commit ".join(filter(None, (facts.conditions.get("date"), facts.conditions.get("commit"))))
    return tag("p", join((said, " Made " + made + "." if made else "")), class_="faint")


def _files(facts: ExportFacts) -> Iterator[Part]:
    rows = [file_row(one) for one in facts.files]
    body = [table(FILES, rows, numbers=(1, 2, 3, 4, 5), stacked=True), tag("p", RANGE, class_="faint")]
    for one in facts.files:
        body += [note(f"{name_of(one)}: {said}") for said in (*one.flips, *one.notes)]
    body += [note(said) for said in facts.notes]
    yield Part("files", "Files and their proof", join(body))


def _accuracy(facts: ExportFacts) -> Iterator[Part]:
    if not any(one.accuracy for one in facts.files):
        return
    rows = [accuracy_row(one) for one in facts.files]
    said = (
        "On your own labelled images, beside the original network. The interval is of the loss on other "
        "images of the same kind (paired; Tango 1998)."
    )
    body = (table(ACCURACY, rows, numbers=(1, 2, 3, 4, 5), stacked=True), tag("p", said, class_="faint"))
    yield Part("accuracy", "Accuracy", join(body))


def _time(facts: ExportFacts) -> Iterator[Part]:
    body: list[Html] = []
    timed = [(one, one.cost) for one in facts.files if one.cost and one.cost.milliseconds is not None]
    if timed:
        rows = [
            Bar(one.name, f"{cost.runtime}{_counted(cost)}", cost.milliseconds or 0.0, _short(cost))
            for one, cost in timed
        ]
        body.append(bars(rows, kind="b"))
    body += [
        tag("p", f"{name_of(one)}: {one.cost.said}.", class_="faint")
        for one in facts.files
        if one.cost and one.cost.why_not
    ]
    if any(one.cost and one.cost.modelled_ms for one in facts.files):
        said = (
            "Modelled milliseconds are made of the instructions that an emulated core executed. They rank "
            "files of one runtime; against measurements that others published they are off by up to 49 %."
        )
        body.append(tag("p", said, class_="faint"))
    for one in facts.files:
        if one.candidates:
            title = f"What {name_of(one)} was chosen from"
            header, *rows_of = one.candidates
            body += [tag("h3", title), table(header, rows_of, stacked=True), tag("p", one.why_chosen)]
    if body:
        yield Part("time", "Time", join(body))


def _counted(cost: Cost) -> str:
    return "" if cost.instructions is None else f", {cost.instructions / 1e6:,.1f} M instructions"


def _short(cost: Cost) -> str:
    return cost.time.replace(" modelled, not measured", " modelled").replace(f" on {cost.target}", "")


def _layers(facts: ExportFacts) -> Iterator[Part]:
    looked = [one for one in facts.files if one.layers is not None]
    if not looked:
        return
    body: list[Html] = []
    for name in dict.fromkeys(one.format for one in looked):
        shown = [one for one in looked if one.format == name]
        body += [
            tag("h3", FORMAT_NAMES.get(name, name)),
            *_curves([one for one in shown if one.layers and one.layers.curve.errors]),
        ]
        for one in shown:
            assert one.layers is not None
            missing = (
                f"; {one.layers.without} layers have no value of their own" if one.layers.without else ""
            )
            said = f"{one.recipe}: {one.layers.verdict}; {one.layers.reason}{missing}"
            bad = one.layers.verdict == "fail"
            body.append(note(said, kind="bad") if bad else tag("p", said, class_="faint"))
    yield Part("layers", "Error of every layer, over depth", join(body))


def _curves(files: Sequence[FileFacts]) -> Iterator[Html]:
    if not files:
        return
    curves = [one.layers.curve for one in files if one.layers]
    said = (
        "Each layer beside the original's, with the errors of the layers before it, on two samples. Dashed: "
        "what is allowed, of the colour of its file. Red: not finite."
    )
    yield drawing(join((legend([curve.name for curve in curves]), errors_over_depth(curves))), said)
    rows = [row for one in files for row in _worst_layers(one)]
    yield folded(
        "The layers that differ most", table(("layer", "depth", "file", "error"), rows, numbers=(1, 3))
    )


def _worst_layers(one: FileFacts) -> list[tuple[str, ...]]:
    assert one.layers is not None
    errors = one.layers.curve.errors
    sizes = [float("inf") if error is None else error for error in errors]
    worst = sorted(range(len(sizes)), key=lambda n: -sizes[n])[:_WORST_LAYERS]
    shown = ["not finite" if error is None else f"{error:.1e}" for error in errors]
    return [(one.layers.modules[n], str(n + 1), one.recipe, shown[n]) for n in worst]


def _rewrites(facts: ExportFacts) -> Iterator[Part]:
    header = ("rewrite", "of", "changed", "refused", "error in float64")
    rows = [_rewrite_row(one, "the network") for one in facts.passes]
    rows += [_rewrite_row(each, f"{one.format} {one.recipe}") for one in facts.files for each in one.rewrites]
    body = [table(header, rows, numbers=(2, 3, 4), stacked=True)]
    refused = [(one.name, *each) for one in facts.passes for each in one.refusals]
    if refused:
        body += [tag("h3", "Refused, and why"), table(("rewrite", "module", "why"), refused, stacked=True)]
    done = [("the network", one) for one in facts.passes]
    done += [(f"{one.format} {one.recipe}", each) for one in facts.files for each in one.rewrites]
    for of, rewrite in done:
        if count := len(rewrite.changes):
            title = f"{rewrite.name} of {of}: {count} change{'s'[: count != 1]}"
            body.append(folded(title, listed(_grouped_changes(rewrite.changes))))
    body += [tag("p", f"{name_of(one)}: {one.execution}.") for one in facts.files if one.execution]
    said = "Each is proven in float64 on a copy before it is done; the error is of the span of the outputs."
    yield Part("rewrites", "What was rewritten", join((*body, tag("p", said, class_="faint"))))


def _rewrite_row(one: Rewriting, of: str) -> tuple[str, ...]:
    error = "nothing to prove" if one.error is None else f"{one.error:.1e}"
    return one.name, of, str(len(one.changes)), str(len(one.refusals)), error


def _grouped_changes(changes: Sequence[tuple[str, str]]) -> list[str]:
    """One line for each kind of change, with its modules."""
    found: dict[str, list[str]] = {}
    for where, what in changes:
        found.setdefault(what, []).append(where)
    return [f"{', '.join(dict.fromkeys(where))}: {what}" for what, where in found.items()]


def _sizes(facts: ExportFacts) -> Iterator[Part]:
    body: list[Html] = []
    total = sum(one.parameters for one in facts.blocks)
    if total:
        rows = [
            Bar(
                one.block,
                f"{figure(one.macs / 1e6)} M MACs",
                one.parameters,
                f"{one.parameters:,} parameters ({share(one.parameters, total)})",
            )
            for one in sorted(facts.blocks, key=lambda block: -block.parameters)
            if one.parameters or one.macs
        ]
        said = f"{total:,} parameters. MACs: multiply-accumulates of convolutions and linear layers."
        body += [tag("h3", "In the network"), drawing(bars(rows, kind="a"), said)]
    told = [one for one in facts.files if one.weights_by_block]
    if told:
        blocks = list(dict.fromkeys(block for one in told for block in one.weights_by_block))
        most = {block: max(one.weights_by_block.get(block, 0) for one in told) for block in blocks}
        rows_of = [
            (block, *(_kilobytes(one.weights_by_block.get(block, 0)) for one in told))
            for block in sorted(blocks, key=lambda block: -most[block])
            if most[block] >= _LEAST_SHOWN_BYTES
        ]
        header = ("block", *(f"{one.format} {one.recipe}" for one in told))
        body += [
            tag("h3", "In the files"),
            table(header, rows_of, numbers=range(1, len(told) + 1), stacked=True),
        ]
    if body:
        yield Part("sizes", "Size by block", join(body))


def _kilobytes(size_bytes: int) -> str:
    return megabytes(size_bytes) if size_bytes >= 1e6 else f"{size_bytes / 1e3:,.1f} kB"


def _operators(facts: ExportFacts) -> Iterator[Part]:
    before, after = facts.operations
    kinds = sorted(before.keys() | after.keys(), key=lambda kind: (-before.get(kind, 0), kind))
    rows = [
        (kind, str(before.get(kind, 0)), str(after.get(kind, 0)), _change(before, after, kind))
        for kind in kinds
    ]
    rows.append(("all", str(sum(before.values())), str(sum(after.values())), ""))
    body = [
        tag("h3", "In the graph, before and after the passes"),
        table(("operation", "before", "after", "change"), rows, numbers=(1, 2, 3)),
    ]
    for one in facts.files:
        if one.operators:
            total = sum(one.operators.values())
            drawn = [
                Bar(kind, "", count, str(count)) for kind, count in list(one.operators.items())[:_MOST_KINDS]
            ]
            left = len(one.operators) - len(drawn)
            rest = [tag("p", f"{left} more kinds.", class_="faint")] if left > 0 else []
            title = f"{name_of(one)}: {total} operators of {len(one.operators)} kinds"
            body.append(folded(title, join((bars(drawn, kind="c"), *rest))))
    yield Part("operators", "Operators", join(body))


def _change(before: Mapping[str, int], after: Mapping[str, int], kind: str) -> str:
    moved = after.get(kind, 0) - before.get(kind, 0)
    return f"{moved:+d}" if moved else ""


def _stages(facts: ExportFacts) -> Iterator[Part]:
    total = sum(facts.seconds.values())
    if not total:
        return
    rows = [
        Bar(name, share(seconds, total, digits=0), seconds, f"{seconds:.1f} s")
        for name, seconds in facts.seconds.items()
        if seconds >= 0.05
    ]
    said = f"{total:.0f} seconds in all, in the order of the stages; those of less than 0.05 s are left out."
    yield Part("stages", "Where the time of the export went", drawing(bars(rows, kind="b"), said))


def _conditions(facts: ExportFacts) -> Iterator[Part]:
    rows = [(one.name, one.sha256, verdict_of(one)) for one in facts.files if one.sha256]
    digests = folded("Digests of the files", table(("file", "SHA-256", "verdict"), rows, stacked=True))
    said = table(("condition", "value"), {**facts.said, **facts.conditions}.items())
    yield Part("conditions", "Conditions", join((said, digests)))
