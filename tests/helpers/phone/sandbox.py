"""A folder that plays a phone's file system for the small daemon, without namespaces.

Commands run in this machine's own shell; paths of the phone in them become paths of the folder, and back in
what they print. An aarch64 program that is pushed is replaced by a script that starts it under qemu.
"""

from __future__ import annotations

import os
import re
import shlex
import struct
from pathlib import Path

_PLACES = re.compile(r"(?<![\w.-])(/data/local/tmp|/sys/class|/sys/devices|/system/|/proc/cpuinfo)")
_STATIC = 2
"""ET_EXEC in elf.h."""


class Sandbox:
    def __init__(self, root: Path, qemu: str) -> None:
        self.root, self._qemu = root.resolve(), qemu
        self._programs = self.root / ".programs"
        self._programs.mkdir(exist_ok=True)

    def path(self, inside: str) -> Path:
        """Where a path of the phone is, never above the folder."""
        return self.root / os.path.normpath(f"/{inside}").lstrip("/")

    def bytes_of(self, inside: str) -> Path:
        """Where the bytes are that were pushed to a path."""
        path = self.path(inside)
        kept = self._programs / str(path.relative_to(self.root)).replace("/", "%")
        return kept if kept.exists() and path.exists() else path

    def command(self, text: str) -> str:
        return _PLACES.sub(lambda place: f"{self.root}{place[0]}", text)

    def printed(self, data: bytes) -> bytes:
        return data.replace(str(self.root).encode(), b"")

    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.root}/tools:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "TERM": "dumb"}

    def arrived(self, path: Path) -> None:
        """A file was pushed: make it start if it is an aarch64 program that starts by itself."""
        data = path.read_bytes()
        kept = self._programs / str(path.relative_to(self.root)).replace("/", "%")
        kept.unlink(missing_ok=True)
        if data[:5] != b"\x7fELF\x02" or data[18:20] != b"\xb7\x00" or not path.stat().st_mode & 0o111:
            return
        (kind,) = struct.unpack_from("<H", data, 16)
        if kind != _STATIC and not path.name.startswith("ld-linux"):
            return  # a library, or a program that its loader starts
        path.replace(kept)
        words = [self._qemu, "-cpu", "cortex-a76", "-L", str(self.root), str(kept)]
        path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        path.chmod(0o755)
