"""Run the trial, or parts of it, and write docs/trial.md of its rows.

    make trial ARGS="networks --count 20 --formats onnx,coreml"

It goes on where it was stopped: a row of the same sources is not made again. The exit status is 4 where
anything that was tried now is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from campaign import defects, interruptions, networks
from campaign.page import page
from campaign.process import prepare
from campaign.rows import PARTS, ROOT, Row, kept
from mocovit_deploy.files import write_atomically

COUNTS = {"networks": 260, "defects": 90, "interruptions": 240}
DOCUMENT = ROOT / "docs" / "trial.md"
PLANTED = 12
"""Defects in each file."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make trial ARGS=", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}, page (default: all)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, help="random modules, or files with defects, or interruptions")
    parser.add_argument(
        "--members", type=int, default=1, help="of each of timm's families (default 1; 0: none)"
    )
    parser.add_argument("--formats", default="onnx,coreml,tflite", help="default %(default)s")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "trial", help="for the rows")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after")
    parser.add_argument(
        "--any-sources", action="store_true", help="keep rows that were made of other sources"
    )
    given = parser.parse_args()
    parts = given.parts or [*PARTS, "page"]
    if unknown := set(parts) - {*PARTS, "page"}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    given.folder.mkdir(parents=True, exist_ok=True)
    prepare()
    wrong, until = 0, time.monotonic() + 60 * given.minutes
    for part in parts:
        for key, make in PLANS[part](given) if part != "page" else ():
            if time.monotonic() > until:
                break
            row, new = kept(given.folder, part, key, make, any_sources=given.any_sources)
            if new:
                _say(part, row)
                wrong += bool(row["wrong"])
        if part == "page":
            write_atomically(DOCUMENT, page(given.folder).encode())
    return 4 if wrong else 0


Plan = Iterator[tuple[str, Callable[[], Row]]]


def _networks(given: argparse.Namespace) -> Plan:
    formats, folder = tuple(given.formats.split(",")), _arena(given, "network")
    count = COUNTS["networks"] if given.count is None else given.count
    for case in networks.cases(given.seed, count, given.members):
        yield case.key, lambda case=case: _reduced(networks.tried(case, folder, formats), case, folder)  # type: ignore[misc]


def _reduced(row: Row, case: networks.Case, folder: Path) -> Row:
    return networks.reduced(case, row, folder) if row["wrong"] else row


def _defects(given: argparse.Namespace) -> Plan:
    count, folder = given.count or COUNTS["defects"], _arena(given, "defects")
    for case, form in defects.cases(given.seed, count, tuple(given.formats.split(","))):
        key = f"{case.key}-{form}"
        yield key, lambda case=case, form=form: defects.tried(case, form, folder, given.seed, PLANTED)  # type: ignore[misc]


def _interruptions(given: argparse.Namespace) -> Plan:
    count, stage = given.count or COUNTS["interruptions"], None
    without = () if "tflite" in given.formats else ("export of TFLite",)
    for key, name, blow, share in interruptions.cases(given.seed, count, without):
        stage = stage or interruptions.Stage(_arena(given, "stage"))
        yield key, lambda n=name, b=blow, s=share, stage=stage: stage.tried(n, b, s)  # type: ignore[misc]


PLANS: dict[str, Callable[[argparse.Namespace], Plan]] = {
    "networks": _networks,
    "defects": _defects,
    "interruptions": _interruptions,
}


def _arena(given: argparse.Namespace, name: str) -> Path:
    """A folder for one process's cases, among the rows."""
    return Path(given.folder).resolve() / "work" / f"{name}-{os.getpid()}"


def _say(part: str, row: Row) -> None:
    sys.stderr.write(f"{part} {row['key']}: {'; '.join(row['wrong'])[:400] or 'right'}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
