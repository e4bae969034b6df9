"""Files and folders: names, digests, sizes, atomic writes."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path


def file_name(text: str) -> str:
    """`text` in characters that a file's name, and a string in an app's code, can hold as they are.

    >>> file_name('timm/mobilenetv4_conv_small.e2400_r224_in1k'), file_name('my "net" $2')
    ('timm_mobilenetv4_conv_small.e2400_r224_in1k', 'my_net_2')
    """
    return re.sub(r"[^\w.-]+", "_", text).lstrip(".-") or "network"


def digest(path: Path) -> str:
    """SHA-256 in hexadecimal. A folder's is taken over its files' relative names and digests, sorted."""
    total = hashlib.sha256()
    if path.is_dir():
        for member in sorted(p for p in path.rglob("*") if p.is_file()):
            total.update(f"{member.relative_to(path).as_posix()}\0{digest(member)}\n".encode())
        return total.hexdigest()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()


def size_bytes(path: Path) -> int:
    """The size of a file, or of all files in a folder together."""
    members = [member for member in path.rglob("*") if member.is_file()] if path.is_dir() else [path]
    return sum(member.stat().st_size for member in members)


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` under a temporary name in the same folder, then rename it to `path`.

    A reader finds the old file or the new one, never a part. Raises `OSError` if the folder cannot be
    written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
