"""An adb server of a test's own: on a Unix socket, blind to USB and network, ended by its process id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_QUIET = {"ADB_MDNS": "0", "ADB_EMU": "0", "ADB_USB": "0"}
_START_S = 20.0


@dataclass
class Server:
    """The server, and how to reach it."""

    adb: Path
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> Mapping[str, str]:
        """What a program needs to speak to this server and no other."""
        return {
            **_QUIET,
            "ADB": str(self.adb),
            "ADB_SERVER_SOCKET": f"localfilesystem:{self.folder / 'server'}",
            "HOME": str(self.folder),
        }

    def call(self, *words: str) -> str:
        """Run the client; its output."""
        done = subprocess.run(
            [str(self.adb), *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, **self.environment},
        )
        return done.stdout + done.stderr

    def processes(self) -> list[int]:
        """The servers on this socket, those included that a client has started since."""
        return [pid for pid in _running() if _is_ours(pid, self.folder)]

    def kill(self) -> None:
        """End it as a crash would."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def adb_server(adb: Path, folder: Path) -> Iterator[Server]:
    """A server in `folder`; it and whatever replaced it ends with the block."""
    server = Server(adb, folder, _start(adb, folder))
    try:
        deadline = time.monotonic() + _START_S
        while "List of devices" not in server.call("devices"):
            if time.monotonic() > deadline:
                raise RuntimeError("the adb server does not start")
        yield server
    finally:
        server.kill()


def _start(adb: Path, folder: Path) -> subprocess.Popen[bytes]:
    socket = f"localfilesystem:{folder / 'server'}"
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [str(adb), "-L", socket, "server", "nodaemon"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **_QUIET, "HOME": str(folder)},
        )
    deadline = time.monotonic() + _START_S
    while not (folder / "server").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def _running() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _is_ours(pid: int, folder: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"localfilesystem:{folder / 'server'}".encode() in words and b"server" in words
