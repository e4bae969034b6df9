"""Check values from a Python program against the types that the fields of a dataclass declare.

Numbers of other libraries (numpy) become those of Python here: neither JSON nor generated code can hold them
as they are.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from numbers import Integral, Real
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from mocovit_deploy.errors import UsageError

_Record = TypeVar("_Record")


def require_kinds(record: _Record, name: str = "") -> _Record:
    """The dataclass `record` with Python's own numbers in place of numpy's.

    Raises `UsageError` for the first field whose value does not have the declared type, with its place.
    Dataclasses in its fields are checked too. `name` is the dataclass's name in messages.

    >>> from mocovit_deploy.spec import AccuracyRequest
    >>> require_kinds(AccuracyRequest("photographs", images="ten"))
    Traceback (most recent call last):
        ...
    mocovit_deploy.errors.UsageError: images='ten': expected int | None
    """
    wanted, found = get_type_hints(type(record)), {}
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        value, kind = getattr(record, field.name), wanted[field.name]
        place = f"{name}.{field.name}".lstrip(".")
        if not _is(value, kind):
            raise UsageError(f"{place}={value!r:.60}: expected {_said(kind)}")
        found[field.name] = require_kinds(value, place) if _is_record(value) else plain_numbers(value)
    return dataclasses.replace(record, **found)  # type: ignore[type-var]


def plain_numbers(value: Any) -> Any:
    """`value` with Python's own numbers, also inside tuples, lists and mappings.

    >>> import numpy
    >>> plain_numbers({"sides": (numpy.int64(64), 96), "scale": numpy.float32(0.5)})
    {'sides': (64, 96), 'scale': 0.5}
    """
    if isinstance(value, Mapping):
        return {key: plain_numbers(one) for key, one in value.items()}
    if type(value) in (tuple, list):
        return type(value)(map(plain_numbers, value))
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _is_record(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _is(value: object, kind: Any) -> bool:
    """Whether `value` has the type `kind`: a class, a union, or a tuple. A bool is not a number."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_is(value, one) for one in inside)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = inside[:1] * len(value) if inside[-1] is Ellipsis else inside
        return len(value) == len(kinds) and all(map(_is, value, kinds))
    numbers: dict[Any, type] = {int: Integral, float: Real}
    if kind in numbers:
        return isinstance(value, numbers[kind]) and not isinstance(value, bool)
    return isinstance(value, kind)


def _said(kind: Any) -> str:
    """A type without the names of modules: "tuple[str, ...]", "AccuracyRequest | None"."""
    text = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
    return re.sub(r"\b(\w+\.)+(?=\w)", "", text).replace("NoneType", "None")
