"""mocovit-bench: measure files where they will run.

    mocovit-bench run FILE... --target host|adb|emulated  measure files
    mocovit-bench ab A B --target host|adb|emulated       measure two files in turn: which is faster
    mocovit-bench compare OLD.json NEW.json               show what changed between two reports
    mocovit-bench page REPORT.json... --output FILE.html  turn reports into one page with plots
    mocovit-bench doctor                                  check that a phone is ready, or say why it is not
    mocovit-bench bundle | emulator | calibrate           make what measuring needs

The options are parsed and checked (parser.py, request.py) before anything heavy is imported, so --help and
mistakes are answered at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.cli.parser import build_parser
from mocovit_deploy.cli.runner import require_posix, run_command
from mocovit_deploy.terminal.deadline import deadline

PROGRAM = "mocovit-bench"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (docs/measuring.md lists them)."""
    return run_command(PROGRAM, _command, argv)


def _command(words: Sequence[str]) -> int:
    given = build_parser(PROGRAM).parse_args(words)
    require_posix(PROGRAM)
    from benchmarks.cli.request import ab_request, doctor_request, run_request

    if given.command in ("run", "ab"):
        measured = run_request(given) if given.command == "run" else ab_request(given)
        from benchmarks.cli import commands

        with deadline(measured.deadline_s):
            (commands.measure_files if given.command == "run" else commands.ab)(measured)
        return 0
    from benchmarks.cli import commands

    if given.command == "doctor":
        with deadline(given.deadline_s):
            commands.doctor(doctor_request(given))
    elif given.command == "compare":
        commands.compare_files(given.old, given.new, fail_above=given.fail_above, as_json=given.json)
    elif given.command == "page":
        commands.write_page(given.reports, given.output)
    elif given.command == "bundle":
        commands.bundle(runtime=given.runtime, deadline_s=given.deadline_s, as_json=given.json)
    elif given.command == "emulator":
        commands.emulator(deadline_s=given.deadline_s, as_json=given.json)
    else:
        commands.calibrate(as_json=given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
