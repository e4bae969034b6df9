"""mocovit-bench: measure files where they will run.

    mocovit-bench run FILE... --target host|adb|emulated  measure
    mocovit-bench ab A B --target host|adb|emulated       which of two is faster, measured in turn
    mocovit-bench compare OLD.json NEW.json               what moved between two reports
    mocovit-bench page REPORT.json... --output FILE.html  reports as one page with plots
    mocovit-bench doctor                                  is a phone ready, and if not, why
    mocovit-bench bundle | emulator | calibrate           what measuring needs

Only argparse is imported before the words are understood (words.py), so that --help is immediate.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

from benchmarks.cli.parser import build_parser
from mocovit_deploy.errors import DeployError, DeviceError
from mocovit_deploy.terminal.printable import printable

PROGRAM = "mocovit-bench"
INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C
TERMINATED = 143  # and by SIGTERM
_VERBOSE = "--verbose"
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (docs/measuring.md lists them)."""
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        arguments = build_parser(PROGRAM).parse_args(words)
        from benchmarks.cli import commands

        with _ending_on_sigterm():
            return commands.run_command(arguments)
    except DeployError as error:
        return _failed(words, f"error: {error}", error.exit_status)
    except BrokenPipeError:  # the reader of our output has gone; there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _failed(words, "interrupted", INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - a defect of ours, or a full disk: one line and a status
        if isinstance(error, OSError) and error.errno in _DISK:
            from tempfile import gettempdir

            what = f"error: {error.strerror}: make room in {gettempdir()}"
            return _failed(words, what, DeviceError.exit_status)
        hint = "" if _VERBOSE in words else f"; run again with {_VERBOSE} for the traceback"
        what = f"internal error: {type(error).__name__}: {error}{hint}"
        return _failed(words, what, DeployError.exit_status)


def _failed(words: Sequence[str], what: str, status: int) -> int:
    """Say in one line what went wrong, after its traceback where that was asked for."""
    if _VERBOSE in words:
        import traceback

        traceback.print_exc()
    print(printable(f"{PROGRAM}: {what}", keep="\n"), file=sys.stderr)
    return status


@contextlib.contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exception, which passes every `finally`: what we have started ends with us."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
