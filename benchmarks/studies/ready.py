"""The operators of every network of the zoo that delegates would leave to the CPU: docs/ready.md.

    python -m benchmarks.studies.ready [--only PATTERN] [--folder DIR] [--keep] [--unfinished]

A row exports one network as TFLite in fp32, fp16 and int8 and as Core ML in fp16, unchecked, and examines
each file as `mocovit-parity FILE --ready` does. As in `zoo`, a finished row is kept in `--folder`, a run that
was killed resumes where it was, and docs/ready.md is written when no row is missing. Expect `MINUTES` on two
idle cores.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.studies.study import (
    CHECKOUT,
    EXPORT,
    RowError,
    begun,
    child_report,
    parser_of,
    run_missing,
    run_study,
)
from benchmarks.studies.zoo_document import ROWS, Row
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.readiness import Obstacle, Readiness
from mocovit_deploy.errors import DeployError
from mocovit_deploy.files import write_atomically
from mocovit_deploy.formats import format_named
from mocovit_deploy.terminal.table import markdown_table

DOCUMENT = CHECKOUT / "docs" / "ready.md"
MINUTES = 15
INT8 = "static_wi8_ai8"
WRITTEN = (
    *("--no-verify", "--format", "tflite,coreml", "--precision", f"fp32,fp16,{INT8}"),
    *("--calibration", "random", "--calibration-images", "2"),
)
"""The options of one export with one capture. Ranges come from two random images: they change no operator."""

# title of the column    file    delegate
COLUMNS = (
    ("GPU fp32", "tflite fp32", "GPU delegate"),
    ("GPU fp16", "tflite fp16", "GPU delegate"),
    ("GPU int8", f"tflite {INT8}", "GPU delegate"),
    ("XNNPACK fp32", "tflite fp32", "XNNPACK, fp32"),
    ("XNNPACK fp16", "tflite fp16", "XNNPACK, fp16"),
    ("XNNPACK int8", f"tflite {INT8}", "XNNPACK, int8"),
    ("Neural Engine fp16", "coreml fp16", "Neural Engine"),
)
ASKED = tuple(dict.fromkeys(file for _, file, _ in COLUMNS))
"""The files that are examined. Other files of Core ML, written by the same export, have no column."""


def main() -> int:
    """Run the missing rows that the options select and write the document. Returns the exit status."""
    parser = parser_of("ready", __doc__, f"Expected: {MINUTES} minutes on two idle cores.", unfinished=True)
    given = begun(parser, ROWS)
    done = run_missing(given, ROWS, run_row, lambda row, result: " | ".join(cells(row, result)))
    if given.unfinished or len(done) == len(ROWS):
        write_atomically(DOCUMENT, document(done).encode())
        sys.stdout.write(f"written: {DOCUMENT}\n")
    return 4 if any(result.get("error") for result in done.values()) else 0


def run_row(row: Row) -> dict[str, Any]:
    """The readiness of every file of one network; `error` if a file could not be written or read."""
    files: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="mocovit-ready-") as folder:
        try:
            report = child_report([*EXPORT, *row.words, *WRITTEN, "--json", "--output-dir", folder])
            for one in report["files"]:
                name = f"{one['format']} {one['recipe']}"
                if name in ASKED:
                    artifact = read_manifest(Path(one["path"]))
                    told = format_named(artifact.format).readiness(artifact)
                    files[name] = {each.delegate: _told(each) for each in told}
        except (RowError, DeployError, TypeError) as error:
            return {"files": files, "error": str(error)}
    return {"files": files}


def _told(one: Readiness) -> dict[str, Any]:
    return {
        "operators": one.operators,
        "outside": _by_reason(one.outside),
        "remarks": _by_reason(one.remarks),
    }


def _by_reason(obstacles: Iterable[Obstacle]) -> list[dict[str, Any]]:
    """One entry for each reason: the number of operators by kind, and the module of the first."""
    groups: dict[tuple[str, str], list[Obstacle]] = {}
    for one in obstacles:
        groups.setdefault((one.why, one.source), []).append(one)
    return [
        {"why": why, "source": source, "kinds": Counter(one.kind for one in found), "first": found[0].where}
        for (why, source), found in groups.items()
    ]


def cells(row: Row, result: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of a row of the table."""
    found = [result.get("files", {}).get(file, {}).get(delegate) for _, file, delegate in COLUMNS]
    return (row.title, *("-" if one is None else _cell(one) for one in found))


def _cell(one: Mapping[str, Any]) -> str:
    remarks = _count(one["remarks"])
    slow = f", {remarks} slow" if remarks else ""
    return f"{_count(one['outside'])} of {one['operators']}{slow}"


def _count(reasons: Iterable[Mapping[str, Any]]) -> int:
    return sum(sum(one["kinds"].values()) for one in reasons)


def document(done: Mapping[Row, Mapping[str, Any]]) -> str:
    """The text of docs/ready.md."""
    header = ("network", *(title for title, _, _ in COLUMNS))
    missing = [row.title for row in ROWS if row not in done]
    failed = [f"- {row.title}: {one['error']}" for row, one in done.items() if one.get("error")]
    lines = [
        "# What delegates would leave to the CPU, network by network",
        "",
        f"Made by `make ready` at {_commits(done)}, from files with random weights:",
        "operators that break a rule of a delegate, of all operators of the file; *slow* are those that it",
        "takes, but computes slowly or in another arithmetic. The rules, and who says so, are in",
        "[delegates.md](delegates.md). **Nothing was run on a GPU or a Neural Engine**, and a file without",
        "such operators may still not run there.",
        f"int8 is `{INT8}`; Core ML files in fp32 stay outside the Neural Engine as a whole.",
        "",
        markdown_table(header, [cells(row, result) for row, result in done.items()]),
        "",
    ]
    lines += [f"**Did not run**: {', '.join(missing)}.", ""] if missing else []
    lines += ["## What could not be written", "", *failed, ""] if failed else []
    for title, part in (("outside", "outside"), ("slow", "remarks")):
        for column, file, delegate in COLUMNS:
            told = list(_reasons(done, file, delegate, part))
            lines += [f"## {column}: {title}", "", *told, ""] if told else []
    return "\n".join(lines)


def _commits(done: Mapping[Row, Mapping[str, Any]]) -> str:
    """The commit of all rows; if there are several, the rows of each but the most frequent."""
    found: dict[str, list[str]] = {}
    for row, result in done.items():
        found.setdefault(result["commit"], []).append(row.title)
    usual, *others = sorted(found, key=lambda commit: (-len(found[commit]), commit)) or [""]
    return usual + "".join(f" ({', '.join(found[commit])} at {commit})" for commit in others)


def _reasons(done: Mapping[Row, Mapping[str, Any]], file: str, delegate: str, part: str) -> Iterable[str]:
    """One line for each reason: the number of operators in each network, and the module of the first."""
    groups: dict[tuple[str, str], list[tuple[Row, Mapping[str, Any]]]] = {}
    for row, result in done.items():
        for one in result.get("files", {}).get(file, {}).get(delegate, {}).get(part, ()):
            groups.setdefault((one["why"], one["source"]), []).append((row, one))
    for (why, source), found in sorted(groups.items(), key=lambda item: -len(item[1])):
        kinds: Counter[str] = Counter()
        for _, one in found:
            kinds.update(one["kinds"])
        named = ", ".join(f"{row.title} {sum(one['kinds'].values())}" for row, one in found)
        first = found[0][1]["first"]
        yield f"- **{why}** ({', '.join(kinds)}): {named}; the first in `{first}` [{source}]"


if __name__ == "__main__":
    run_study("ready", main)
