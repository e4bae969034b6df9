"""Errors a user can act on, each with its exit status.

    DeployError               1   an internal error (never raised by itself for a user's mistake)
    ├─ UsageError             2   an option, a value or a file the user gave cannot be used
    ├─ ConversionError        3   the network could not be captured, re-parameterized or written
    ├─ ParityError            4   a file differs from the network it came from, or was not checked
    ├─ AccuracyError          5   accuracy is below the bar the user set
    ├─ SlowerError            6   slower, or larger, than the bar the user set
    ├─ DeviceError            7   the device is absent, unauthorised or throttled
    │  ├─ TransientDeviceError    the cause may pass by itself: worth a retry
    │  └─ StableDeviceError       the cause stays: not worth a retry
    ├─ OutputError            7   the output could not be written: a full disk, a closed pipe
    └─ MissingToolError       8   a package or a program is not installed

A message is one line: what was wrong, where, and what to do about it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence

_NO_TEMPORARY_FOLDER = "No usable temporary directory found"
"""The message of `tempfile` if it can write to none of its folders: all are full, or none may be written."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
"""A full disk, a used-up quota, a read-only file system, a limit on file sizes."""


class DeployError(Exception):
    """Root of every error this project raises on purpose."""

    exit_status = 1

    def __init__(self, message: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)
        """Further lines. A command prints the first ten of them, or all with --verbose."""


class UsageError(DeployError):
    """An option, a value or a file the user gave cannot be used."""

    exit_status = 2


class ConversionError(DeployError):
    """The network could not be captured, re-parameterized or written in the format asked for."""

    exit_status = 3


class ParityError(DeployError):
    """A file computes something other than the network it was made from, or could not be checked."""

    exit_status = 4


class AccuracyError(DeployError):
    """Accuracy is below the bar the user set."""

    exit_status = 5


class SlowerError(DeployError):
    """A file is slower or larger than the bar the user set, or cut into more partitions."""

    exit_status = 6


class DeviceError(DeployError):
    """A device cannot be measured on."""

    exit_status = 7


class TransientDeviceError(DeviceError):
    """The cause may pass (a lost connection, a time-out): worth a retry."""


class StableDeviceError(DeviceError):
    """The cause stays (no such device, no permission): not worth a retry."""


class MissingToolError(DeployError):
    """A package or a program is not installed."""

    exit_status = 8


class OutputError(DeployError):
    """The output could not be written: a full disk, a limit on file sizes, a closed pipe."""

    exit_status = 7


def unknown_choice(what: str, given: str, choices: Iterable[str]) -> UsageError:
    """A `UsageError` that lists the valid choices and suggests a close one. The close one is never assumed.

    >>> print(unknown_choice("format", "tflight", ["onnx", "tflite"]))
    unknown format 'tflight'; did you mean 'tflite'? (choose from onnx, tflite)
    """
    import difflib  # late: --help does not need it

    known = list(choices)
    by_lower = {choice.lower(): choice for choice in reversed(known)}
    close = difflib.get_close_matches(given, known, n=1)
    close = close or [by_lower[one] for one in difflib.get_close_matches(given.lower(), by_lower, n=1)]
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return UsageError(f"unknown {what} {given!r}{hint} (choose from {', '.join(known)})")


def first_line(error: BaseException) -> str:
    """The first line of the message at the root of an exception chain; the class's name if it has none."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def internal(error: BaseException, subject: str = "") -> DeployError:
    """A `DeployError` (exit status 1) for an unforeseen exception, which becomes its cause."""
    of = f"{subject}: " if subject else ""
    found = DeployError(f"{of}internal error: {type(error).__name__}: {first_line(error)}")
    found.__cause__ = error
    return found


def no_room(error: BaseException) -> OutputError | None:
    """An `OutputError` if a full disk, or a limit on file sizes, is at the root of `error`."""
    from tempfile import gettempdir

    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError) and str(found.strerror).startswith(_NO_TEMPORARY_FOLDER):
            return OutputError(
                "no folder for temporary files can be written; make room, or set TMPDIR to another folder"
            )
        if isinstance(found, OSError) and found.errno in _NO_ROOM:
            where = found.filename or gettempdir()
            return OutputError(f"{where}: {found.strerror}; make room there, or choose another folder")
        found = found.__cause__ or found.__context__
    return None
