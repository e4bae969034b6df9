"""Run a command and return its exit status, in the same way for all programs.

An error is one line on stderr, followed by its details.

    DeployError                 its message, its own status
    Ctrl-C                      "interrupted", 130, also if a library swallowed it
    closed pipe or stdout       7, as for a full disk: the output did not arrive
    closed pipe of stderr       ignored: the command goes on without notes and progress
    anything else               a defect: "internal error", 1

With --json a failed command prints a JSON document too, unless it printed its report before it failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from mocovit_deploy.errors import DeployError, OutputError, UsageError, internal, no_room
from mocovit_deploy.terminal.interrupts import handled, raise_if_interrupted
from mocovit_deploy.terminal.printable import printable

INTERRUPTED = 130
"""What a shell reports for a program ended by Ctrl-C."""
FAILURE_SCHEMA_VERSION = 1
MOST_DETAILS = 10
"""Lines of an error's details that are printed without --verbose."""
Command = Callable[[Sequence[str]], int]


class WatchedOutput:
    """stdout that remembers whether anything was written to it, and an error that argparse swallows."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.written = False
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        self.written = self.written or bool(text)
        try:
            return self.stream.write(text)
        except OSError as error:
            self.error = error
            raise

    def complete(self) -> None:
        """Flush. Raises the error of an earlier write, if there was one."""
        if self.error is not None:
            raise self.error
        self.stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


class OptionalReader:
    """stderr, whose reader may close it: everything written after that is discarded."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
            return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def require_posix(program: str) -> None:
    """Raise `UsageError` on Windows, where only --help works.

    Untrusted files are read in child processes with limits on memory and time (`resource`, process groups),
    and exports to one folder wait for each other by `fcntl`. Windows has none of these.
    """
    if os.name != "posix":
        raise UsageError(f"{program} runs on Linux and macOS; on Windows, run it in WSL")


def run_command(program: str, command: Command, words: Sequence[str] | None = None) -> int:
    """Run `command` on `words` (those of the process if None) and return the exit status."""
    given = sys.argv[1:] if words is None else list(words)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the rest of the process
    if sys.stdout is None:
        return _failed(program, given, OutputError("stdout is closed: there is nowhere to print to"), None)
    real, errors = sys.stdout, sys.stderr
    watched = WatchedOutput(real)
    sys.stdout, sys.stderr = watched, OptionalReader(errors)
    try:
        with handled():
            try:
                return _completed(command, given, watched)
            except KeyboardInterrupt:
                sys.stderr.write(f"{program}: interrupted\n")
                return INTERRUPTED
            except BrokenPipeError:
                return _without_reader(program, given, real)
            except DeployError as error:
                raise_if_interrupted()
                return _failed(program, given, error, watched)
            except Exception as error:  # noqa: BLE001 - a defect of this program, or a full disk
                raise_if_interrupted()
                return _failed(program, given, no_room(error) or internal(error), watched)
    except KeyboardInterrupt:  # swallowed inside, and remembered
        sys.stderr.write(f"{program}: interrupted\n")
        return INTERRUPTED
    finally:
        sys.stdout, sys.stderr = real, errors


def _completed(command: Command, words: Sequence[str], output: WatchedOutput) -> int:
    """Run the command, flush its output, and return its status.

    Raises `OSError` if the output could not be written, `KeyboardInterrupt` if Ctrl-C was pressed.
    """
    try:
        status = command(words)
    except SystemExit:  # argparse, after --help
        output.complete()
        raise
    output.complete()
    raise_if_interrupted()
    return status


def _failed(program: str, words: Sequence[str], error: DeployError, output: WatchedOutput | None) -> int:
    """Print an error in one line and its details, after the traceback with --verbose; return its status."""
    verbose = "--verbose" in words
    if verbose:
        import traceback

        traceback.print_exc()
    said = str(error)
    if type(error) is DeployError and not verbose:
        said += "; run again with --verbose for the traceback"
    kind = "" if type(error) is DeployError else "error: "
    shown = error.details if verbose else error.details[:MOST_DETAILS]
    left = len(error.details) - len(shown)
    lines = [f"{program}: {kind}{said}", *(f"  {line}" for line in shown)]
    lines += [f"  and {left} more; --verbose lists them all"] if left else []
    sys.stderr.write("".join(printable(f"{line}\n", keep="\n") for line in lines))
    if "--json" in words and output is not None and not output.written:
        import json  # late: --help does not need it

        document = {
            "schema_version": FAILURE_SCHEMA_VERSION,
            "program": program,
            "error": str(error),
            "kind": type(error).__name__,
            "exit_status": error.exit_status,
            **({"details": list(error.details)} if error.details else {}),
        }
        try:
            output.write(f"{json.dumps(document, indent=2)}\n")
            output.stream.flush()
        except OSError:
            pass  # the error itself was printed on stderr, and its status stands
    return error.exit_status


def _without_reader(program: str, words: Sequence[str], output: TextIO) -> int:
    """Report that the reader of stdout has closed it, and send the rest of the output to /dev/null."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
    error = OutputError("the reader of the output closed it before the end (a closed pipe)")
    return _failed(program, words, error, None)
