"""The keeper: a process on the phone that holds the folder of a command, and cleans up after the command.

The keeper waits for the end of its input. That comes when the command closes it, when this program, adb or
adb's server is killed, and when the cable is pulled. Then it ends the bench, restores the governors and
removes the folder. Only one keeper runs at a time, so two commands never measure on one phone at once.
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
"""The file with the process id of the bench while it runs."""

_READY, _BUSY, _DONE = b"keeper ready", b"keeper busy", b"keeper done"
_START_S, _END_S = 20.0, 20.0
_RELEASE_S, _RETRY_S = 5.0, 0.5
_MOST_BYTES = 1 << 16
_FOLDER = '"$F/"'
_GOVERNOR = "/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"


@dataclass(frozen=True)
class Keeper:
    """A running keeper."""

    adb: Adb
    folder: str
    process: subprocess.Popen[bytes]

    def close(self) -> bool:
        """End the keeper and wait until it has cleaned up. Returns False if it did not confirm that."""
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
    """Make `folder` on the phone and start a keeper that holds it.

    `governors` are the present governors of the cores to fix at full clock. Fixing needs `root`, the command
    that starts a root shell (an empty tuple if the shell is root, None if there is no root). `keep` leaves
    the folder in the end. Raises `StableDeviceError` for a folder that cannot be made, or that another
    command holds, `TransientDeviceError` if the phone does not answer.
    """
    script = _script(folder, keep=keep, governors=governors if root is not None else {}, root=root or ())
    end = time.monotonic() + _RELEASE_S
    while True:
        process, said = _start(adb, script)
        if _READY in said:
            return Keeper(adb, folder, process)
        if _BUSY not in said or time.monotonic() > end:
            raise _refused(adb, folder, said)
        time.sleep(_RETRY_S)  # after a lost connection, the last keeper may still be cleaning up


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
            'if [ "$p" = $$ ]; then',  # else another keeper holds the folder now
            # A bench that is just starting may open its log while the folder is being removed.
            *([] if keep else ['  for i in 1 2 3 4 5; do rm -rf "$F" && break; sleep 1; done']),
            '  rm -rf "$L"',
            "fi",
            f"echo {_DONE.decode()}",
        ]
    )


def _set(core: int, governor: str, as_root: str) -> str:
    """The command that sets a governor; `governor` was checked to be one word when it was read."""
    command = f"echo {governor} > {_GOVERNOR.format(core=core)}"
    return quoted(command) if as_root else command


def started(command: str) -> str:
    """The line that runs a bench in the folder, where the keeper finds and ends it; `command` is quoted.

    This line writes the process id first and checks for `RUNNING` after that. The keeper removes `RUNNING`
    first and looks for the process id after that. So at least one of them sees the other, and no bench starts
    unnoticed.
    """
    start = f'echo $$ > {PID}; [ -e {RUNNING} ] && exec "$@"'
    return f"sh -c {quoted(start)} bench {command} </dev/null"


def _is_running(word: str) -> str:
    """The shell test that process `$p` has `word` in its command line.

    NULs become blanks first, because some greps read nothing after the first NUL.
    """
    return f'[ -n "$p" ] && tr "\\0" " " 2>/dev/null < "/proc/$p/cmdline" | grep -qF {word}'


def _end_bench() -> list[str]:
    """The lines that end the bench, if the process id in the file is still that of a bench."""
    return [
        f'rm -f "$F/{RUNNING}"; p=; read p 2>/dev/null < "$F/{PID}"',
        f"if {_is_running(_FOLDER)}; then kill -9 $p; fi",
        f'rm -f "$F/{PID}"',
    ]


def end_bench(adb: Adb, folder: str) -> None:
    """End a bench that outlived its adb. Errors are ignored, because the keeper does the same in the end."""
    with contextlib.suppress(StableDeviceError, TransientDeviceError):
        adb.shell("\n".join([f"F={quoted(folder)}", *_end_bench(), "true"]))


def _until(process: subprocess.Popen[bytes], marks: tuple[bytes, ...], deadline_s: float) -> bytes:
    """The output of the process until one of `marks`, its end, or the deadline."""
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
