"""Copy files to the phone, only those that are not there already, and prove that they arrived."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.targets.adb.client import Adb, quoted
from mocovit_deploy.errors import StableDeviceError, TransientDeviceError
from mocovit_deploy.files import digest

_FREE = re.compile(r"(\d{1,15})\s+\d{1,3}%\s")
"""What `df -k` prints before the share in use: free blocks of 1024 bytes."""
_WORTH_ASKING = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True)
class Pushed:
    """How much was copied."""

    files: int
    bytes: int


def push(adb: Adb, folder: str, files: Mapping[str, Path], *, executable: bool = False) -> Pushed:
    """Make `folder/name` on the phone equal to each local file.

    Raises `StableDeviceError` when the storage is full or cannot be written, `TransientDeviceError` when the
    connection breaks or a file arrives other than it was sent.
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
    """Ask first: a storage that fills up in the middle looks like a connection that breaks."""
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
                f"{remote} arrived on the phone other than it was sent; is its storage full or failing?"
            )


def _digests(adb: Adb, remotes: list[str], first: str) -> dict[str, str]:
    """Do `first`, then the SHA-256 of those files that are on the phone."""
    answer = adb.shell(f"{first}\nsha256sum {' '.join(map(quoted, remotes))} 2>/dev/null\ntrue")
    if not answer.ok:
        raise StableDeviceError(f"no folder can be made on the phone: {answer.reason()}")
    found = (_LINE.fullmatch(line) for line in answer.text.splitlines())
    return {match[2]: match[1] for match in found if match is not None}
