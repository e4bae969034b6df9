"""Run a program with a time-out, and leave no process behind.

Every child gets a process group of its own, so that ending it also ends the processes it has started.
Commands are argument lists, never shell strings.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """A program that ended: by itself, or because its time was up."""

    argv: tuple[str, ...]
    status: int
    """Exit status; minus the signal's number when a signal ended it (as `subprocess` has it)."""
    stdout: str
    stderr: str
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        return self.status == 0 and not self.timed_out

    def reason(self) -> str:
        """Why it failed, in one line: the last line of its stderr, or what ended it."""
        if self.timed_out:
            return "it did not end in time and was stopped"
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        if lines:
            return lines[-1]
        if self.status < 0:
            return f"it was ended by signal {signal_name(-self.status)}"
        return f"exit status {self.status}, and no message"


def run_process(
    argv: Sequence[str | Path],
    *,
    deadline_s: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    memory_bytes: int | None = None,
) -> Finished:
    """Run `argv` to its end, or stop it after `deadline_s` seconds, and return its status and output.

    `environment` is added to this process's own. `memory_bytes` limits its anonymous memory (on Linux only).
    Bytes of the output that are not UTF-8 are replaced. Raises `FileNotFoundError` or `PermissionError` if
    the program cannot be started; everything after the start is in the result.
    """
    words = tuple(str(word) for word in argv)
    child = subprocess.Popen(
        words,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=None if memory_bytes is None else functools.partial(_limit_memory, memory_bytes),  # noqa: PLW1509
    )
    timed_out = False
    try:
        stdout, stderr = child.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        timed_out = True
        end_group(child)
        stdout, stderr = child.communicate()
    except BaseException:  # an interrupt, too, must not leave the child running
        end_group(child)
        child.wait()
        raise
    return Finished(words, child.returncode, _text(stdout), _text(stderr), timed_out)


def _limit_memory(memory_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    least = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (least, hard))


def end_group(child: subprocess.Popen[bytes]) -> None:
    """Kill a child started in a session of its own, and every process of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


def signal_name(number: int) -> str:
    """The name of a signal, as in SIGSEGV; its number if Python has no name for it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
