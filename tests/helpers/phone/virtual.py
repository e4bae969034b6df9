"""A virtual phone: the real adbd over an aarch64 shell and tools, executed by qemu, in namespaces of its own.

Nothing of this machine is changed: user, network, process and mount namespaces end with the phone, and the
kernel's rule to run aarch64 programs (binfmt_misc) is that of the user namespace.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from phone.image import SM8150_KHZ, make_image
from phone.pieces import Pieces, shared_objects

_INSIDE = Path(__file__).with_name("inside.py")
_START_S = 20.0
_PORT = 6555
"""In the phone's own network. Ports 5555 to 5585 would be taken for Android's emulator."""


@dataclass(frozen=True)
class Phone:
    """A phone that runs, whichever daemon is in it."""

    root: Path
    """Its files, as seen from here."""
    address: Path
    """The Unix socket of its adbd."""
    daemon: subprocess.Popen[bytes]
    real: bool
    """The real adbd in namespaces, not the small one."""

    def path(self, inside: str) -> Path:
        """A file of the phone, seen from here, through its own mounts."""
        if not self.real:
            return self.root / inside.lstrip("/")
        (first, *_) = _children(self.daemon.pid)
        return Path(f"/proc/{first}/root") / str(self.root).lstrip("/") / inside.lstrip("/")

    def left_over(self) -> list[str]:
        """Command lines of programs that run below adbd: what a command has left there."""
        (first, *_) = _children(self.daemon.pid) if self.real else (self.daemon.pid,)
        found = []
        for child in _descendants(first):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                if words and "/.host/adbd" not in words:
                    found.append(words.strip())
        return found


def why_not() -> str:
    """Why virtual phones cannot run on this machine; empty where they can."""
    for program in ("unshare", "mount", "ldd"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    tried = subprocess.run(
        [*_UNSHARE, "mount", "-t", "binfmt_misc", "none", "/proc/sys/fs/binfmt_misc"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if tried.returncode:
        return f"no namespaces with a binfmt_misc of their own ({tried.stderr.strip()[:200]})"
    return ""


_UNSHARE = (
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount",
    "--uts",
    "--ipc",
    "--mount-proc",
)


@contextlib.contextmanager
def virtual_phone(
    folder: Path, pieces: Pieces, *, khz: Sequence[int] = SM8150_KHZ, options: Sequence[str] = ()
) -> Iterator[Phone]:
    """A phone in `folder`, which must be empty; it ends with the block. `options`: see inside.py."""
    root, address = folder / "root", folder / "adbd"
    root.mkdir()
    make_image(root, pieces, khz=khz)
    _add_host_side(root, pieces)
    words = [*_UNSHARE, sys.executable, str(_INSIDE), str(root), str(pieces.qemu), str(_PORT), str(address)]
    with (folder / "phone.log").open("wb") as log:
        daemon = subprocess.Popen([*words, *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_for(address, daemon, folder / "phone.log")
        yield Phone(root=root, address=address, daemon=daemon, real=True)
    finally:
        daemon.kill()  # unshare's --kill-child ends the first process inside, and with it all others
        daemon.wait()


def _add_host_side(root: Path, pieces: Pieces) -> None:
    """adbd and qemu are programs of this machine: they need its loader and libraries inside the phone."""
    hidden = root / ".host"
    hidden.mkdir()
    shutil.copy2(pieces.adbd, hidden / "adbd")
    for library in shared_objects(pieces.adbd, pieces.libraries):
        shutil.copy2(library, hidden / library.name)
    for library in shared_objects(pieces.qemu):
        place = "lib64" if library.name.startswith("ld-linux") else "lib/x86_64-linux-gnu"
        (root / place).mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, root / place / library.name)


def _wait_for(address: Path, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while not address.exists():
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the virtual phone did not start: {log.read_text(errors='replace')[-500:]}")
        time.sleep(0.02)


def _children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(word) for word in text.split()]


def _descendants(process: int) -> list[int]:
    with contextlib.suppress(OSError):
        children = _children(process)
        return [*children, *(each for child in children for each in _descendants(child))]
    return []


def network_of(phone: Phone) -> str:
    """Which network namespace the phone is in, for the test that it is not this machine's."""
    (first, *_) = _children(phone.daemon.pid)
    return os.readlink(f"/proc/{first}/ns/net")  # noqa: PTH115 - the target is no path
