"""Check values from a Python program against the types that the fields of a dataclass declare."""

from __future__ import annotations

import dataclasses
import re
from numbers import Integral, Real
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from mocovit_deploy.errors import UsageError


def require_kinds(record: Any, name: str = "") -> None:
    """Raise `UsageError` for the first field of a dataclass whose value does not have the declared type.

    Dataclasses in its fields are checked too. `name` is the dataclass's name in messages.

    >>> from mocovit_deploy.spec import AccuracyRequest
    >>> require_kinds(AccuracyRequest("photographs", images="ten"))
    Traceback (most recent call last):
        ...
    mocovit_deploy.errors.UsageError: images='ten': expected int | None
    """
    wanted = get_type_hints(type(record))
    for field in dataclasses.fields(record):
        value, kind = getattr(record, field.name), wanted[field.name]
        place = f"{name}.{field.name}".lstrip(".")
        if not _is(value, kind):
            raise UsageError(f"{place}={value!r:.60}: expected {_said(kind)}")
        if dataclasses.is_dataclass(value):
            require_kinds(value, place)


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
