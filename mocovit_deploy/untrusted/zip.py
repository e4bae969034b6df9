"""Zip archives whose members are stored uncompressed, as numpy and torch write them, checked before reading.

A stored member has as many bytes as it takes of the file. Members that together are no larger than the file
cannot inflate, nor can they multiply by sharing bytes.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mocovit_deploy.untrusted.read import size_of

LARGEST_ARCHIVE = 64 << 30
"""Bytes. A training checkpoint holds the optimizer's state too."""

LARGEST_DIRECTORY = 16 << 20
"""Bytes of the list of members. A member has 50 to 100 bytes in it and takes some 500 bytes of memory."""

_END, _END_SIZE = b"PK\5\6", 22
_END64, _LOCATOR64, _LOCATOR64_SIZE = b"PK\6\6", b"PK\6\7", 20


class Damaged(ValueError):  # noqa: N818 - a state of the file
    """An archive that is not read; the message says what is wrong with it."""


@contextmanager
def open_stored_zip(path: Path, at_most: int = LARGEST_ARCHIVE) -> Iterator[zipfile.ZipFile]:
    """Open a zip file whose members are all stored and named plainly, of at most `at_most` bytes.

    Raises `Damaged` for any other file, and for errors of `zipfile` inside the block. `OSError` passes
    through.
    """
    try:
        size = size_of(path, at_most)
        _check_directory(path, size)
        with zipfile.ZipFile(path) as archive:
            check_members(archive.infolist(), size)
            yield archive
    except Damaged:
        raise
    # zipfile raises each of these for some damaged directory.
    except (
        zipfile.BadZipFile,
        ValueError,
        KeyError,
        IndexError,
        EOFError,
        OverflowError,
        NotImplementedError,
        RuntimeError,
        struct.error,
        zlib.error,
    ) as error:
        raise Damaged(str(error) or type(error).__name__) from error


def check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raise `Damaged` unless the members are stored, plainly named, and fit into a file of `size` bytes."""
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if not name.isprintable() or "\\" in name or name.startswith("/") or ".." in name.split("/"):
            raise Damaged(f"a member is called {name[:80]!r}")
        if name.lower() in seen:
            raise Damaged(f"two members are called {name[:80]!r}")
        seen.add(name.lower())
        if member.flag_bits & 0x1:
            raise Damaged(f"{name[:80]} is encrypted")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise Damaged(f"{name[:80]} is compressed; only uncompressed (stored) members are read")
    total = sum(member.file_size for member in members)
    if total > size:
        raise Damaged(f"its members have {total:,} bytes together, the file only {size:,}")


def _check_directory(path: Path, size: int) -> None:
    """Check the length of the list of members before `zipfile` makes objects of it."""
    tail_size = _END_SIZE + _LOCATOR64_SIZE
    with path.open("rb") as stream:
        stream.seek(max(size - tail_size, 0))
        tail = stream.read(tail_size)
        if len(tail) < _END_SIZE or tail[-_END_SIZE:-18] != _END:
            raise Damaged("not a zip file, or cut off")
        length = struct.unpack_from("<I", tail, len(tail) - 10)[0]
        if tail[:4] == _LOCATOR64 and len(tail) == tail_size:
            (where,) = struct.unpack_from("<Q", tail, 8)
            if where > size - 56:
                raise Damaged("its list of members lies outside the file")
            stream.seek(where)
            record = stream.read(56)
            if record[:4] != _END64:
                raise Damaged("not a zip file, or cut off")
            (length,) = struct.unpack_from("<Q", record, 40)
    if length > LARGEST_DIRECTORY:
        raise Damaged(f"its list of members has {length:,} bytes, at most {LARGEST_DIRECTORY:,} are read")
