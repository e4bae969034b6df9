"""Read files that somebody else wrote: sizes are checked before bytes are read, and JSON is read strictly.

Every function raises `ValueError` that says what is wrong, or `OSError`. The caller knows what the file
should have been, and adds that to the message.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

LARGEST_FILE = 2 << 30
"""Bytes. Neither a flatbuffer nor a protocol buffer can be larger."""

LARGEST_DOCUMENT = 64 << 20
"""Bytes of JSON or TOML: a report with two million samples fits."""

MOST_VALUES = 4_000_000
"""Values in a JSON document. An empty list takes three bytes of text and some eighty of memory."""

MOST_MEMBERS = 10_000
"""Files and folders inside a folder that is one artifact."""

LONGEST_NUMBER = 400
"""Characters. This project writes no longer ones, and reading an integer takes the square of its length."""


def size_of(path: Path, at_most: int = LARGEST_FILE) -> int:
    """The size of a regular file in bytes.

    Raises `ValueError` for a file larger than `at_most`, and for a pipe or a device, which may never end.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("not a regular file")
    if found.st_size > at_most:
        raise ValueError(f"{found.st_size:,} bytes, at most {at_most:,} are read")
    return found.st_size


def read_bytes(path: Path, at_most: int = LARGEST_FILE) -> bytes:
    """The bytes of a regular file of at most `at_most` bytes."""
    size = size_of(path, at_most)
    with path.open("rb") as stream:
        data = stream.read(size + 1)
    if len(data) > size:
        raise ValueError("it grew while it was read")
    return data


def check_folder(folder: Path) -> None:
    """Raise `ValueError` unless a folder holds only regular files and folders, at most `MOST_MEMBERS`.

    A link could lead out of it, and a pipe or a device never ends.
    """
    pending, seen = [folder], 0
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                seen += 1
                shown = f"{entry.name[:80]!r} in it"
                if seen > MOST_MEMBERS:
                    raise ValueError(f"more than {MOST_MEMBERS:,} files")
                if entry.is_symlink():
                    raise ValueError(f"{shown} is a link, which may lead anywhere")
                if entry.is_dir(follow_symlinks=False):
                    pending.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    raise ValueError(f"{shown} is not a regular file")
                elif entry.stat(follow_symlinks=False).st_size > LARGEST_FILE:
                    raise ValueError(f"{shown} is larger than {LARGEST_FILE:,} bytes")


def read_json(path: Path) -> Any:
    """The JSON document in a file; see `parse_json`."""
    return parse_json(read_bytes(path, LARGEST_DOCUMENT))


def parse_json(data: bytes) -> Any:
    """A JSON document in UTF-8.

    Raises `ValueError` for anything that readers of JSON treat differently: a key twice in one object, NaN,
    infinity, a number that overflows to infinity, text that cannot be encoded, nesting that exhausts the
    stack, more than `MOST_VALUES` values.
    """
    values = sum(data.count(mark) for mark in (b",", b"[", b"{"))
    if values > MOST_VALUES:
        raise ValueError(f"some {values:,} values, at most {MOST_VALUES:,} are read")
    try:
        document = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_without_doubles,
            parse_constant=_refuse,
            parse_float=_finite,
            parse_int=_whole,
        )
        if b"\\ud" in data.lower():
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("text with half a character in it (a lone surrogate)") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return document


def _without_doubles(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise ValueError(f"the key {key[:80]!r} is there twice")
        members[key] = value
    return members


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is larger than any number")
    return value


def _whole(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)
