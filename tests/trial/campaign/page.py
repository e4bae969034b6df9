"""docs/trial.md, made of the rows: no number in it is typed in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from campaign.defects import SIZES, beyond
from campaign.found import ELSEWHERE, FOUND, OF_TIMM, SPOILT
from campaign.rows import PARTS, Row, all_rows
from mocovit_deploy.terminal.table import markdown_table

INTRODUCTION = """\
Networks that nobody chose, defects that nobody announced, commands cut short: the trial draws them by seed,
and judges what comes back by itself, with runtime sessions and inputs of its own, and torch in float64. What
must hold is written at the head of each part (`networks.py`, `defects.py` and `interruptions.py` in
`tests/trial/campaign`).

```
make trial                                             all parts, hours on one core; goes on where it stopped
make trial ARGS="networks --count 300 --members 2"     one part, and how much of it
make trial ARGS="defects --count 90 --seed 7"          other files, other defects
make trial ARGS="page"                                 this page, of the rows that are there
```

Every row is a small JSON file in `build/trial`, keyed by its seed and by the digest of the sources that were
tried. A network that went wrong is made smaller by leaving pieces out, and can be exported again:

```
PYTHONPATH=tests/trial mocovit-export --model campaign.grammar:network --model-arg seed=17 --model-arg keep=0
```
"""
RIGHT = """\
A file is *right* when it is within the tolerance of the network in float64 on inputs it has not seen, or no
further from it than ten times torch's own float32; *wrong* rows break one of the invariants."""
PLANTED = """\
In {files} healthy files, of which `--bisect` accused {accused}. A defect moves the outputs *beyond the
tolerance* by the trial's own sessions on the golden inputs; it is *missed* when the verdict is pass all the
same. The module is *named* when the first divergence of `--bisect` names the one it was planted in, counted
over those beyond the tolerance. {commands} were given to `mocovit-parity` as well."""
REASONS = 40
"""Lines of reasons in the table."""


def page(folder: Path) -> str:
    """The document of all rows in `folder`."""
    rows = {part: list(all_rows(folder, part)) for part in PARTS}
    makers = (_networks, _defects, _interruptions)
    sections = [make(rows[part]) for part, make in zip(PARTS, makers, strict=True) if rows[part]]
    names = ("torch", "timm", "onnxruntime", "ai-edge-litert", "coremltools")
    tools = ", ".join(f"{name} {version(name)}" for name in names)
    head = ["# The trial", "", INTRODUCTION, f"Run with {tools}.", ""]
    return "\n".join([*head, *(line for section in sections for line in section)]).rstrip() + "\n"


def _ran(rows: Sequence[Row]) -> str:
    commits = Counter(row["commit"] for row in rows)
    told = ", ".join(f"{count} at `{commit}`" for commit, count in commits.most_common())
    note = "; a plus sign: with changes that were not committed" if any("+" in one for one in commits) else ""
    return f"{len(rows)} rows: {told}{note}."


def _networks(rows: Sequence[Row]) -> list[str]:
    left_out = [row for row in rows if "left_out" in row]
    tried = [row for row in rows if "left_out" not in row]
    lines = [_counted(name, chosen) for name, chosen in _grouped(tried, _source)]
    lines.append(_counted("all", tried))
    header = (
        "networks",
        "tried",
        "files",
        "right: passed",
        "right: rejected",
        "not run",
        "refused",
        "wrong rows",
    )
    refusals = Counter(
        (one["format"], _plain(one["why"]))
        for row in tried
        for one in row["files"]
        if one["verdict"] != "pass"
    )
    most = refusals.most_common(REASONS)
    reasons = [(name, str(count), why) for (name, why), count in most]
    rest = sum(refusals.values()) - sum(count for _, count in most)
    return [
        "## Networks",
        "",
        _ran(rows),
        "",
        RIGHT,
        "",
        markdown_table(header, lines),
        "",
        *(
            [f"Left out: {len(left_out)}, because torch.export itself cannot write them as a program.", ""]
            if left_out
            else []
        ),
        "### Why there was no file, or no pass",
        "",
        markdown_table(("format", "times", "reason, numbers and names left out"), reasons),
        "",
        *([f"And {rest} others of {len(refusals) - len(most)} reasons.", ""] if rest else []),
        *_wrong_list(tried),
        "### Was wrong, and is mended",
        "",
        "Each is a test now (`tests/trial/test_found.py`), of the pieces that are needed to see it.",
        "",
        *(f"- {one.what} (`{one.case.key}`, {' and '.join(one.formats)})" for one in FOUND),
        *(f"- {what} (`timm/{name}`, {' and '.join(formats)})" for what, name, _, formats in OF_TIMM),
        "",
    ]


def _counted(name: str, rows: Sequence[Row]) -> tuple[str, ...]:
    files = [one for row in rows for one in row["files"]]
    verdicts = Counter(one["verdict"] for one in files)
    wrong = sum(bool(row["wrong"]) for row in rows)
    passed_wrong = sum("passed and" in text for row in rows for text in row["wrong"])
    rejected_right = sum("rejected and is right" in text for row in rows for text in row["wrong"])
    counts = (
        len(rows),
        len(files),
        verdicts["pass"] - passed_wrong,
        verdicts["fail"] - rejected_right,
        verdicts["not run"],
        verdicts["refused"],
        wrong,
    )
    return (name, *map(str, counts))


def _source(row: Row) -> str:
    kinds = {
        "network": "random modules",
        "traced": "random modules, traced",
        "bfloat16": "random modules in bfloat16",
        "program": "random modules, as .pt2",
    }
    return kinds.get(row["key"].partition("-")[0], "timm's families")


def _defects(rows: Sequence[Row]) -> list[str]:
    judged = [row for row in rows if row["planted"]]
    planted = [{**one, "format": row["format"]} for row in judged for one in row["planted"]]
    healthy = [row["healthy"] for row in judged]
    accused = sum(bool(one["named"]) for one in healthy)
    header = ("", "planted", "beyond the tolerance", "missed", "module named", "share")

    def table(title: str, key: Callable[[Row], str]) -> str:
        body = [_planted(name, chosen) for name, chosen in _grouped(planted, key)]
        return markdown_table((title, *header[1:]), [*body, _planted("all", planted)])

    def size(one: Row) -> str:
        return f"{one['size']:.0e}" if one["size"] else "as it comes"

    sizes = {f"{one:.0e}": f"{number}" for number, one in enumerate(SIZES)}
    planted.sort(key=lambda one: sizes.get(size(one), "9"))
    commands = sum("command" in one for one in planted)
    return [
        "## Planted defects",
        "",
        _ran(rows),
        "",
        PLANTED.format(files=len(judged), accused=accused, commands=commands),
        "",
        table("format", lambda one: one["format"]),
        "",
        table("size, of the largest number", size),
        "",
        table("defect", lambda one: one["defect"].replace("_", " ")),
        "",
        *_wrong_list(rows),
        *_mended("defects"),
    ]


def _planted(name: str, planted: Sequence[Row]) -> tuple[str, ...]:
    far = [one for one in planted if beyond(one)]
    missed = sum(one["verdict"] == "pass" for one in far)
    named = sum(one["module"] in one["named"] for one in far)
    share = f"{named / len(far):.1%}" if far else "-"
    return (name, str(len(planted)), str(len(far)), str(missed), str(named), share)


def _interruptions(rows: Sequence[Row]) -> list[str]:
    def table(title: str, key: Callable[[Row], str]) -> str:
        def line(name: str, chosen: Sequence[Row]) -> tuple[str, ...]:
            half = sum("half state" in text for row in chosen for text in row["wrong"])
            statuses = Counter(str(row.get("status", "-")) for row in chosen)
            told = ", ".join(f"{status} ({count})" for status, count in statuses.most_common())
            return (name, str(len(chosen)), told, str(half), str(sum(bool(row["wrong"]) for row in chosen)))

        body = [line(name, chosen) for name, chosen in _grouped(rows, key)]
        return markdown_table(
            (title, "tried", "statuses", "half states", "wrong"), [*body, line("all", rows)]
        )

    return [
        "## Interruptions",
        "",
        _ran(rows),
        "",
        table("blow", lambda row: row["blow"]),
        "",
        table("command", lambda row: row["command"]),
        "",
        *_wrong_list(rows),
        *_mended("interruptions"),
    ]


def _mended(part: str) -> list[str]:
    found = [f"- {what} (`{test}`)" for what, test in ELSEWHERE[part]]
    if part == "defects":
        found += [
            f"- {what} (`network-{seed}`, {form}; `tests/trial/test_found.py`)" for what, seed, form in SPOILT
        ]
    return ["### Was wrong, and is mended", "", *found, ""]


def _grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> list[tuple[str, list[Row]]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.items())


def _wrong_list(rows: Sequence[Row]) -> list[str]:
    """Every kind of thing that was wrong: how often, and in which row first."""
    first: dict[str, tuple[str, str]] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        for text in row["wrong"]:
            what = _plain(text)
            counts[what] += 1
            first.setdefault(what, (row["key"], text))
    lines = [f"- {counts[what]} times: {what} (`{first[what][0]}`)" for what, _ in counts.most_common()]
    return ["### Wrong", "", *(lines or ["Nothing."]), ""]


def _plain(text: str) -> str:
    """A sentence without what is different in every row, fit for a table."""
    text = re.sub(r"(/\S+)+", "PATH", text.split("\n", maxsplit=1)[0])
    text = re.sub(r"out/(rejected/)?\S+", "FILE", text)
    text = re.sub(r"\b[\w.]*\d[\w.+-]*", "#", text)
    return text.replace("|", "/").replace("`", "'")[:150].strip()
