"""mocovit-parity FILE --ready: what delegates will leave to the CPU. The files are read, not run."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.readiness import Obstacle, Readiness
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.cli.output import REPORT_SCHEMA_VERSION, print_json
from mocovit_deploy.errors import UsageError
from mocovit_deploy.formats import format_named
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.terminal.quiet import quiet
from mocovit_deploy.terminal.table import shortened

NOT_RUN = "Derived from the files by known rules; nothing was run on a GPU or a Neural Engine."
MOST_NAMED = 3
"""How many kinds and how many modules a line names without --verbose."""


def run_ready(files: Sequence[Path], *, as_json: bool, verbose: bool) -> int:
    """Print what each delegate will leave to the CPU in each file. Nothing is judged: the status is 0.

    Raises `UsageError` for a file of a format that no delegate is known for.
    """
    found = []
    for path in files:
        with quiet(not verbose):
            found.append((path, file_readiness(path)))
    if as_json:
        documents = [{"file": str(path), **_document(delegates)} for path, delegates in found]
        print_json({"schema_version": REPORT_SCHEMA_VERSION, "files": documents})
        return 0
    lines = [line for path, delegates in found for line in (str(path), *_lines(delegates, verbose), "")]
    sys.stdout.write(printable("\n".join([*lines, NOT_RUN, ""]), keep="\n"))
    return 0


def file_readiness(path: Path) -> tuple[Readiness, ...]:
    """Each delegate known for the file at `path`. `UsageError` if there is none."""
    artifact = read_manifest(path)
    found = format_named(artifact.format).readiness(artifact)
    if not found:
        others = " and ".join(name for name in FORMATS if name != artifact.format)
        raise UsageError(f"{path}: no delegate is known for {artifact.format} files; --ready is for {others}")
    return found


def _document(delegates: Iterable[Readiness]) -> dict[str, Any]:
    return {"run": False, "delegates": [dataclasses.asdict(one) for one in delegates]}


def _lines(delegates: Iterable[Readiness], verbose: bool) -> Iterator[str]:
    for one in delegates:
        inside = one.operators - len(one.outside)
        yield f"  {one.delegate}: {inside} of {one.operators} operators break no rule"
        yield from (f"    outside  {line}" for line in _by_reason(one.outside, verbose))
        yield from (f"    remark   {line}" for line in _by_reason(one.remarks, verbose))


def _by_reason(obstacles: Sequence[Obstacle], verbose: bool) -> Iterator[str]:
    """One line for each reason, most frequent first, with kinds, modules and source."""
    groups: dict[tuple[str, str], list[Obstacle]] = {}
    for one in obstacles:
        groups.setdefault((one.why, one.source), []).append(one)
    for (why, source), found in sorted(groups.items(), key=lambda item: -len(item[1])):
        counts = Counter(one.kind for one in found)
        kinds = [f"{count} {kind}" for kind, count in counts.most_common()]
        modules = list(dict.fromkeys(one.where for one in found))
        most = len(found) if verbose else MOST_NAMED
        yield f"{shortened(kinds, most)}: {why}, in {shortened(modules, most)} [{source}]"
