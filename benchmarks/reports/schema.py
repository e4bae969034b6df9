"""Frozen dataclasses to JSON, and from JSON or TOML with a check against their annotations.

Programs read a report weeks later to decide whether a change may land. So reading is strict: a missing or
unknown field, a string in place of a number, or a NaN is refused, with its place in the document.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from mocovit_deploy.errors import UsageError
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.untrusted import read as bounded

Record = TypeVar("Record")

LARGEST_NUMBER = 1 << 62
"""The largest figure in a report or a device file, so that figures computed from them are finite."""

LARGEST_TOML, MOST_DOTS = 1 << 18, 100
"""The most bytes of a TOML document, and dots in a line: tomllib takes time with the square of a key."""

_LONG_NUMBER = re.compile(rf"\d{{{bounded.LONGEST_NUMBER}}}")


def to_json(document: Any) -> str:
    """`document`, a dataclass or plain data, as indented JSON. Raises `ValueError` for NaN or infinity."""
    return json.dumps(plain(document), indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """A value as dictionaries, lists and scalars, from dataclasses, mappings and tuples."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(member) for member in value]
    return value


def read_document(path: Path) -> Any:
    """The JSON document at `path`. Raises `UsageError` if it is absent, not JSON, or has NaN or infinity."""
    try:
        return bounded.read_json(path)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UsageError(f"{path}: not a JSON report ({error})") from None


def read_toml(path: Path) -> Any:
    """The TOML document at `path`. Raises `UsageError` if it is absent or not TOML."""
    try:
        text = bounded.read_bytes(path, LARGEST_TOML).decode("utf-8")
        if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
            raise ValueError(f"a line with more than {MOST_DOTS} dots")
        if _LONG_NUMBER.search(text):
            raise ValueError(f"a number of more than {bounded.LONGEST_NUMBER} digits")
        return tomllib.loads(text)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except RecursionError:
        raise UsageError(f"{path}: cannot be read as TOML (nested too deeply)") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as TOML ({error})") from None


def build_record(record: type[Record], value: Any, where: str) -> Record:
    """A `record` from a dictionary, field by field. Raises `UsageError` with the place that does not fit.

    `where` names the document in the message.
    """
    return typing.cast(Record, _value(record, value, where))


def _value(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _union(arguments, value, where)
    if origin is typing.Literal:
        if not any(value == allowed and type(value) is type(allowed) for allowed in arguments):
            raise UsageError(f"{where}: {value!r:.60} is not {' or '.join(map(repr, arguments))}")
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_value(arguments[0], member, f"{where}[{n}]") for n, member in enumerate(value))
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, dict):
        return {
            key: _value(arguments[1], member, f"{where}.{printable(key[:60])}")
            for key, member in value.items()
        }
    if kind in (int, float) and type(value) in (int, float) and not -LARGEST_NUMBER < value < LARGEST_NUMBER:
        raise UsageError(f"{where}: {value!s:.20} is too large for a figure")
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind in (int, str, bool) and type(value) is kind:
        return value
    raise UsageError(f"{where}: {value!r:.60} does not fit; not a report of this version")


def _union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    *others, last = (kind for kind in kinds if kind is not type(None))
    for kind in others:
        with contextlib.suppress(UsageError):
            return _value(kind, value, where)
    return _value(last, value, where)


def _record(kind: type[Any], value: Any, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if not isinstance(value, dict) or set(value) != set(hints):
        seen = set(value) if isinstance(value, dict) else set()
        odd = printable(", ".join(sorted(seen ^ set(hints)))[:200]) or type(value).__name__
        raise UsageError(f"{where}: not a {kind.__name__} (missing or unknown: {odd})")
    try:
        return kind(**{name: _value(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from None
