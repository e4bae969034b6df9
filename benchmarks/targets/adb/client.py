"""The only module that starts adb.

A command for the phone's shell is one text, because adb joins its arguments with blanks and gives them to a
shell there. So every argument that is not a literal of this package goes through `quoted`. Answers are
limited in size and in time.
"""

from __future__ import annotations

import math
import secrets
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.targets.adb.bounded import Said, run_bounded
from benchmarks.targets.adb.failures import RESTART, adb_failure, clean, last_line
from mocovit_deploy.errors import StableDeviceError, TransientDeviceError

MOST_BYTES = 1 << 20
_SERVER = ("start-server", "version", "devices", "disconnect")
"""Commands that adb or its server answers without the phone."""
_SERVER_S = 30.0
_SHELL_S = 30.0
_CONNECT_S = 20.0
_PARTING_S = 10.0
_POLL_S, _HANDSHAKE_POLLS = 0.5, 6
_PUSH_LEAST_BYTES_PER_S = 1 << 20

quoted = shlex.quote
"""Quoting for a POSIX shell, which mksh and toybox sh follow."""


class SilentError(TransientDeviceError):
    """There was no answer before the deadline."""


@dataclass(frozen=True)
class Listed:
    """One line of `adb devices`."""

    serial: str
    state: str
    """ "device" if the phone can be used, else "offline", "unauthorized" and so on."""


@dataclass(frozen=True)
class Answer:
    """The result of a command on the phone."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def ok(self) -> bool:
        """Did the command end with status 0?"""
        return self.status == 0

    @property
    def text(self) -> str:
        """Its standard output as text."""
        return self.stdout.decode("utf-8", errors="replace")

    def reason(self) -> str:
        """The last line of its output, as a reason for a message."""
        return last_line(self.stderr) or last_line(self.text) or f"exit status {self.status}, and no message"


@dataclass(frozen=True)
class Adb:
    """The adb program, for its server, or with a `serial` for one phone."""

    program: Path
    serial: str = ""
    until: float = math.inf
    """The end of the command's time, on the monotonic clock. Cleaning up may still take `_PARTING_S`."""

    def words(self, *arguments: str) -> list[str]:
        """The command line of adb with these arguments."""
        chosen = ["-s", self.serial] if self.serial else []
        return [str(self.program), *chosen, *arguments]

    def time_left(self, most_s: float) -> float:
        """The seconds that a step may take: at most `most_s`, and less near the end of the command's time."""
        return min(most_s, max(_PARTING_S, self.until - time.monotonic()))

    def start_server(self) -> None:
        """Start adb's server unless it runs. Raises `TransientDeviceError` if it does not start."""
        said = self._run(["start-server"], deadline_s=_SERVER_S, what="adb's server")
        if said.status:
            raise adb_failure("adb's server", _text(said))

    def version(self) -> str:
        """The version line of adb."""
        said = self._run(["version"], deadline_s=_SERVER_S, what="adb version")
        lines = [clean(line) for line in _text(said).splitlines()]
        return next((line for line in lines if line.startswith("Version")), lines[0] if lines else "")

    def devices(self) -> tuple[Listed, ...]:
        """All phones that the server knows, ready or not."""
        said = self._run(["devices"], deadline_s=_SERVER_S, what="adb devices")
        if said.status:
            raise adb_failure("adb devices", _text(said))
        # A serial number may hold blanks; a tab ends it.
        rows = (line.rpartition("\t") for line in _text(said).splitlines() if "\t" in line)
        return tuple(Listed(serial, state.strip()) for serial, _, state in rows)

    def connect(self, address: str) -> None:
        """Connect to a wireless phone. Raises `TransientDeviceError` if it does not answer."""
        said = self._run(["connect", address], deadline_s=_CONNECT_S, what=f"adb connect {address}")
        # adb connect exits 0 after a failure too.
        if said.status or not any(word in _text(said) for word in ("connected to", "already connected")):
            raise adb_failure(f"adb connect {clean(address)}", _text(said))

    def reconnect(self, address: str, *, wait_s: float) -> None:
        """Connect to a wireless phone again, until it is ready or `wait_s` has passed.

        adb keeps a broken connection as "offline" for a while, and calls it "already connected". So the old
        connection is dropped first. If the phone answers but does not get ready, the next call fails.
        Raises `TransientDeviceError` if the phone does not answer at all.
        """
        until = time.monotonic() + wait_s
        while True:
            # The connection may be gone already, which is fine.
            self._run(["disconnect", address], deadline_s=_SERVER_S, what=f"adb disconnect {address}")
            late = time.monotonic() >= until
            try:
                self.connect(address)
            except TransientDeviceError:
                if late:
                    raise
                time.sleep(_POLL_S)
                continue
            for _ in range(_HANDSHAKE_POLLS):
                if any(each.serial == address and each.state == "device" for each in self.devices()):
                    return
                time.sleep(_POLL_S)
            if late:
                return

    def shell(self, script: str, *, deadline_s: float = _SHELL_S, most_bytes: int = MOST_BYTES) -> Answer:
        """Run a script in the phone's shell.

        A mark printed after the script distinguishes a failed script from a broken connection. Raises
        `TransientDeviceError` if the connection breaks, its subclass `SilentError` at the deadline, and
        `StableDeviceError` if the phone refuses, or prints more than `most_bytes`.
        """
        mark = secrets.token_hex(8)
        whole = f"(\n{script}\n)\ns=$?; echo; echo {mark} $s"
        said = self._run(["shell", whole], deadline_s=deadline_s, what=self.serial, most_bytes=most_bytes)
        output, found, status = said.stdout.rpartition(f"\n{mark} ".encode())
        if not found or not status.strip().isdigit():
            raise adb_failure(self.serial, said.stderr.decode(errors="replace") or _text(said))
        return Answer(int(status), output, said.stderr.decode("utf-8", errors="replace"))

    def read(self, path: str, *, most_bytes: int, deadline_s: float = _SHELL_S) -> bytes:
        """The bytes of a file on the phone.

        Raises `StableDeviceError` if it is absent or longer than `most_bytes`, and the errors of `shell`.
        """
        answer = self.shell(f"cat {quoted(path)}", deadline_s=deadline_s, most_bytes=most_bytes)
        if not answer.ok:
            raise StableDeviceError(f"{clean(path)} cannot be read on the phone: {answer.reason()}")
        return answer.stdout

    def push(self, files: Sequence[Path], remote: str) -> None:
        """Copy files to the phone: one to the path `remote`, or any number into the folder `remote/`.

        Raises `StableDeviceError` for a storage that is full or not writable, and the errors of `shell`.
        """
        size = sum(file.stat().st_size for file in files)
        deadline_s = _SHELL_S + size / _PUSH_LEAST_BYTES_PER_S
        what = f"copying {files[0].name}{' and others' if len(files) > 1 else ''} to the phone"
        words = [str(file.absolute()) for file in files]
        said = self._run(["push", *words, remote], deadline_s=deadline_s, what=what)
        if said.status:
            raise adb_failure(what, _text(said))

    def _run(
        self, arguments: Sequence[str], *, deadline_s: float, what: str, most_bytes: int = MOST_BYTES
    ) -> Said:
        deadline_s = self.time_left(deadline_s)
        try:
            said = run_bounded(self.words(*arguments), deadline_s=deadline_s, most_bytes=most_bytes)
        except OSError as error:
            raise StableDeviceError(f"{self.program} cannot be started ({error.strerror})") from None
        if said.too_much:
            raise StableDeviceError(
                f"{clean(what)}: the phone sent more than {most_bytes:,} bytes, and was stopped"
            )
        if said.timed_out:
            advice = f"adb's server hangs; {RESTART}" if arguments[0] in _SERVER else "is the phone awake?"
            raise SilentError(f"{clean(what)}: no answer within {deadline_s:g} s; {advice}")
        return said


def _text(said: Said) -> str:
    return (said.stdout + b"\n" + said.stderr).decode("utf-8", errors="replace")
