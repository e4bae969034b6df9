"""A process on the phone that holds our folder there, and cleans up when we are gone, however we went.

It waits for the end of its input. That comes when we close it, when this program, adb or adb's server is
killed, and when the cable is pulled. Then it ends the bench, gives the governors back and removes the
folder. Only one runs at a time, so two programs never measure on one phone at once.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.targets.adb.client import Adb, quoted
from benchmarks.targets.adb.failures import adb_failure, clean
from benchmarks.targets.adb.state import RUNNING
from mocovit_deploy.errors import DeviceError, StableDeviceError, TransientDeviceError
from mocovit_deploy.untrusted.process import end_group

PID = "pid"
"""Holds the bench's process id while it runs."""

_READY, _BUSY, _DONE = b"keeper ready", b"keeper busy", b"keeper done"
_START_S, _END_S = 20.0, 20.0
_RELEASE_S, _RETRY_S = 5.0, 0.5
_MOST_BYTES = 1 << 16
_FOLDER = '"$F/"'
_GOVERNOR = "/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"


@dataclass(frozen=True)
class Keeper:
    """The keeper that runs for us."""

    adb: Adb
    folder: str
    process: subprocess.Popen[bytes]

    def close(self) -> bool:
        """End it and wait until it has cleaned up; False where nothing is known of that."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            said = _until(self.process, (_DONE,), self.adb.time_left(_END_S))
        finally:
            _end(self.process)
        return _DONE in said


def start_keeper(
    adb: Adb, folder: str, *, keep: bool, governors: Mapping[int, str], root: tuple[str, ...] | None
) -> Keeper:
    """Make `folder` on the phone and hold it.

    `governors` are the present ones of the cores to fix at full clock; they need `root`, the words that
    start a shell as root (an empty tuple for a shell that is). Raises `StableDeviceError` for a folder that
    cannot be made, or that another command holds.
    """
    script = _script(folder, keep=keep, governors=governors if root is not None else {}, root=root or ())
    end = time.monotonic() + _RELEASE_S
    while True:
        process, said = _start(adb, script)
        if _READY in said:
            return Keeper(adb, folder, process)
        if _BUSY not in said or time.monotonic() > end:
            raise _refused(adb, folder, said)
        time.sleep(_RETRY_S)  # after a lost connection, our own last keeper may still be at work


def _start(adb: Adb, script: str) -> tuple[subprocess.Popen[bytes], bytes]:
    process = subprocess.Popen(
        adb.words("shell", script),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    said = b""
    try:
        said = _until(process, (_READY, _BUSY), _START_S)
    finally:
        if _READY not in said:
            _end(process)
    return process, said


def _refused(adb: Adb, folder: str, said: bytes) -> DeviceError:
    if _BUSY in said:
        return StableDeviceError(
            f"{clean(adb.serial)}: another mocovit-bench measures on this phone; wait for it to end"
        )
    text = said.decode("utf-8", errors="replace")
    if "mkdir" in text:
        return StableDeviceError(str(adb_failure(f"{clean(folder)} on the phone cannot be made", text)))
    if not text.strip():
        return TransientDeviceError(
            f"{clean(adb.serial)}: no answer within {_START_S:g} s; is the phone awake?"
        )
    return adb_failure(clean(adb.serial), text)


def _script(folder: str, *, keep: bool, governors: Mapping[int, str], root: tuple[str, ...]) -> str:
    lock = f"{folder}.lock"
    as_root = " ".join([*(quoted(word) for word in root), ""]).lstrip()
    fix = [f"{as_root}{_set(core, 'performance', as_root)} 2>/dev/null" for core in governors]
    restore = [f"{as_root}{_set(core, name, as_root)} 2>/dev/null" for core, name in governors.items()]
    return "\n".join(
        [
            "trap '' HUP PIPE",
            f"F={quoted(folder)}; L={quoted(lock)}",
            'if ! mkdir "$L" 2>/dev/null && [ -d "$L" ]; then',
            '  p=; read p 2>/dev/null < "$L/pid"',
            f"  if {_is_running(quoted(_READY.decode()))}; then",
            f"    echo {_BUSY.decode()}; exit 1",
            "  fi",
            '  rm -rf "$L"; mkdir "$L" || exit 1',
            "fi",
            '[ -d "$L" ] || mkdir "$L" || exit 1',
            'echo $$ > "$L/pid"',
            'mkdir -p "$F" || { rm -rf "$L"; exit 1; }',
            *fix,
            f"echo {_READY.decode()}",
            "read x",
            *_end_bench(),
            *restore,
            'p=; read p 2>/dev/null < "$L/pid"',
            'if [ "$p" = $$ ]; then',  # else somebody else holds the folder now
            # Whatever was just starting may open its log between the removal of the others and the folder's.
            *([] if keep else ['  for i in 1 2 3 4 5; do rm -rf "$F" && break; sleep 1; done']),
            '  rm -rf "$L"',
            "fi",
            f"echo {_DONE.decode()}",
        ]
    )


def _set(core: int, governor: str, as_root: str) -> str:
    """The words that set a governor; `governor` was checked to be one word when it was read."""
    command = f"echo {governor} > {_GOVERNOR.format(core=core)}"
    return quoted(command) if as_root else command


def started(command: str) -> str:
    """The line that runs a bench in our folder, where the keeper finds and ends it; `command` is quoted.

    The number is noted first and `RUNNING` looked for after that; the keeper removes `RUNNING` first and
    looks for the number after that. So one of the two sees the other, and no bench starts behind its back.
    """
    start = f'echo $$ > {PID}; [ -e {RUNNING} ] && exec "$@"'
    return f"sh -c {quoted(start)} bench {command} </dev/null"


def _is_running(word: str) -> str:
    """A test: is process `$p` one whose words hold `word`? Some greps see nothing behind the first NUL."""
    return f'[ -n "$p" ] && tr "\\0" " " 2>/dev/null < "/proc/$p/cmdline" | grep -qF {word}'


def _end_bench() -> list[str]:
    """End the bench, if the number that it left is still its own."""
    return [
        f'rm -f "$F/{RUNNING}"; p=; read p 2>/dev/null < "$F/{PID}"',
        f"if {_is_running(_FOLDER)}; then kill -9 $p; fi",
        f'rm -f "$F/{PID}"',
    ]


def end_bench(adb: Adb, folder: str) -> None:
    """End a bench that outlived its adb; nothing is raised, for the keeper does the same in the end."""
    with contextlib.suppress(StableDeviceError, TransientDeviceError):
        adb.shell("\n".join([f"F={quoted(folder)}", *_end_bench(), "true"]))


def _until(process: subprocess.Popen[bytes], marks: tuple[bytes, ...], deadline_s: float) -> bytes:
    """What the process says until one of `marks`, its end, or the time."""
    assert process.stdout is not None
    said, end = b"", time.monotonic() + deadline_s
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while not any(mark in said for mark in marks) and len(said) < _MOST_BYTES:
            if not waiting.select(timeout=max(0.0, end - time.monotonic())):
                return said
            chunk = os.read(process.stdout.fileno(), 1 << 12)
            if not chunk:
                return said
            said += chunk
    return said


def _end(process: subprocess.Popen[bytes]) -> None:
    end_group(process)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
