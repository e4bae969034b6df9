"""Hostile files for every reader, and a table of what came of them.

    make fuzz ARGS="--minutes 20 --seed 3 --only tflite"

Everything is seeded: the same seed tries the same files in the same order, as far as the time goes. What
broke a rule is kept, made smaller, in the folder given by --keep; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from hostile.drive import TIME_S, Tally, campaign, say
from hostile.readers import READERS, Reader

HEAD = (
    "| reader | inputs | clean error | accepted | stopped in the child | violations | longest, s "
    "| memory, MB |\n"
    "|---|---|---|---|---|---|---|---|"
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=", description=__doc__)
    parser.add_argument("--minutes", type=float, default=12.0, help="for all readers together (default 12)")
    parser.add_argument("--inputs", type=int, help="per reader, instead of a time")
    parser.add_argument("--time-s", type=float, default=TIME_S, help="for one file (default %(default)g)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help=f"of {', '.join(reader.name for reader in READERS)}")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="for what broke a rule")
    parser.add_argument(
        "--commands", type=int, default=0, metavar="N", help="run the real command on every N-th file too"
    )
    parser.add_argument("--verbose", action="store_true", help="say what became of each crafted file")
    given = parser.parse_args()
    wanted = given.only.split(",") if given.only else [reader.name for reader in READERS]
    readers = [reader for reader in READERS if reader.name in wanted]
    if len(readers) != len(wanted):
        parser.error(f"no such reader among {given.only}")
    tallies = {reader.name: _served(reader, given, len(readers)) for reader in readers}
    print(HEAD)
    for reader in readers:
        print(_row(reader, tallies[reader.name]))
    return int(any(tally.violations for tally in tallies.values()))


def _served(reader: Reader, given: argparse.Namespace, share: int) -> Tally:
    """Run a reader's campaign in a process of its own, so that no reader's imports are in another's forks."""
    with tempfile.TemporaryDirectory(prefix="mocovit-fuzz-") as name:
        answer = Path(name) / "tally.json"
        server = os.fork()
        if server == 0:
            status = 1
            try:
                tally = campaign(
                    reader,
                    Path(name) / "arena",
                    seed=given.seed,
                    keep=given.keep.resolve(),
                    say=say,
                    time_s=given.time_s,
                    talk=given.verbose,
                    commands=given.commands,
                    until=_Enough(given.inputs, 60 * given.minutes / share),
                )
                answer.write_text(json.dumps(dataclasses.asdict(tally)))
                status = 0
            except BaseException:  # noqa: BLE001 - a server never returns
                import traceback

                traceback.print_exc()
            finally:
                os._exit(status)
        _, status = os.waitpid(server, 0)
        if status:
            raise SystemExit(f"{reader.name}: the server ended with {os.waitstatus_to_exitcode(status)}")
        tally = Tally(**json.loads(answer.read_text()))
    say(f"{reader.name}: {tally}")
    return tally


class _Enough:
    """Has a reader had its share? The clock starts with its first case: imports are not its time."""

    def __init__(self, most: int | None, seconds: float) -> None:
        self.most, self.seconds, self.start = most, seconds, 0.0

    def __call__(self, inputs: int) -> bool:
        if self.most is not None:
            return inputs >= self.most
        self.start = self.start or time.monotonic()
        return time.monotonic() - self.start > self.seconds


def _row(reader: Reader, tally: Tally) -> str:
    stopped = sum(tally.contained.values()) if reader.guarded else "-"
    return (
        f"| {reader.what} | {tally.inputs:,} | {tally.clean:,} | {tally.accepted:,} | {stopped} "
        f"| {sum(tally.violations.values())} | {tally.longest_s:.1f} | {tally.peak_memory_bytes / 1e6:.0f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
