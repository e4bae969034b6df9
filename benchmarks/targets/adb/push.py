"""Copying files to the phone: only those that are not there, with a check of their digests afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.targets.adb.client import Adb, quoted
from mocovit_deploy.errors import StableDeviceError, TransientDeviceError
from mocovit_deploy.files import digest

_FREE = re.compile(r"(\d{1,15})\s+\d{1,3}%\s")
"""The free blocks of 1024 bytes in the output of `df -k`, before the share in use."""
_WORTH_ASKING = 1 << 20
"""The free storage is asked for only above this number of bytes."""
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True)
class Pushed:
    """The numbers of files and bytes that were copied."""

    files: int
    bytes: int


def push(adb: Adb, folder: str, files: Mapping[str, Path], *, executable: bool = False) -> Pushed:
    """Make `folder/name` on the phone equal to each local file.

    Raises `StableDeviceError` if the storage is full or not writable, `TransientDeviceError` if the
    connection breaks, or if a file arrives changed.
    """
    wanted = {f"{folder}/{name}": path for name, path in files.items()}
    digests = {remote: digest(path) for remote, path in wanted.items()}
    present = _digests(adb, list(wanted), f"mkdir -p {quoted(folder)} || exit 1")
    changed = {remote: path for remote, path in wanted.items() if present.get(remote) != digests[remote]}
    if not changed:
        return Pushed(0, 0)
    size = sum(path.stat().st_size for path in changed.values())
    if size > _WORTH_ASKING:
        _check_room(adb, folder, size)
    named_alike = [path for remote, path in changed.items() if remote == f"{folder}/{path.name}"]
    if named_alike:
        adb.push(named_alike, f"{folder}/")
    for remote, path in changed.items():
        if path not in named_alike:
            adb.push([path], remote)
    _prove(adb, list(changed), digests, executable=executable)
    return Pushed(len(changed), size)


def _check_room(adb: Adb, folder: str, size: int) -> None:
    """Raise `StableDeviceError` for too little storage: if it fills up, adb reports a broken connection."""
    free = _FREE.search(adb.shell(f"df -k {quoted(folder)} 2>/dev/null; true").text)
    if free is not None and int(free[1]) * 1024 < size:
        raise StableDeviceError(
            f"the phone's storage is full: {size / 1e6:.1f} MB are needed, {int(free[1]) / 1e3:.1f} free; "
            "make room, or give --remote-folder elsewhere"
        )


def _prove(adb: Adb, remotes: list[str], digests: Mapping[str, str], *, executable: bool) -> None:
    mode = "755" if executable else "644"
    arrived = _digests(adb, remotes, f"chmod {mode} {' '.join(map(quoted, remotes))}")
    for remote in remotes:
        if arrived.get(remote) != digests[remote]:
            raise TransientDeviceError(
                f"{remote} arrived changed on the phone; is its storage full or failing?"
            )


def _digests(adb: Adb, remotes: list[str], first: str) -> dict[str, str]:
    """Run the script `first`, then return the SHA-256 of each file that is on the phone."""
    answer = adb.shell(f"{first}\nsha256sum {' '.join(map(quoted, remotes))} 2>/dev/null\ntrue")
    if not answer.ok:
        raise StableDeviceError(f"no folder can be made on the phone: {answer.reason()}")
    found = (_LINE.fullmatch(line) for line in answer.text.splitlines())
    return {match[2]: match[1] for match in found if match is not None}
