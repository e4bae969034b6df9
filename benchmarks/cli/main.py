"""mocovit-bench: measure files where they will run.

    mocovit-bench run FILE... --target host|adb|emulated  measure
    mocovit-bench ab A B --target host|adb|emulated       which of two is faster, measured in turn
    mocovit-bench compare OLD.json NEW.json               what moved between two reports
    mocovit-bench page REPORT.json... --output FILE.html  reports as one page with plots
    mocovit-bench doctor                                  is a phone ready, and if not, why
    mocovit-bench bundle | emulator | calibrate           what measuring needs

Only argparse is imported before the options are read (parser.py), so that --help is immediate.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.cli.parser import build_parser
from mocovit_deploy.cli.runner import run

PROGRAM = "mocovit-bench"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (docs/measuring.md lists them)."""
    return run(PROGRAM, _command, argv)


def _command(words: Sequence[str]) -> int:
    arguments = build_parser(PROGRAM).parse_args(words)
    from benchmarks.cli import commands

    return commands.run_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
