"""Values of a TOML document, each of the type it must have. Every `UsageError` says where."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mocovit_deploy.errors import UsageError, unknown_choice

LARGEST_BYTES = 1 << 20


def read_toml(path: Path) -> dict[str, Any]:
    """The document in a file. Raises `UsageError` for one that cannot be read, is too large or no TOML."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise UsageError(f"{path}: larger than {LARGEST_BYTES:,} bytes; not written by hand")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or nested without end
        raise UsageError(f"{path}: not TOML ({error})") from None


def text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{where}: {value!r:.60} is not a text")
    return value


def texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise UsageError(f"{where}: {value!r:.60} is not a list of texts")
    return tuple(text(member, where) for member in value)


def flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {value!r:.60} is not true or false")
    return value


def whole(value: object, where: str) -> int:
    if type(value) is not int:
        raise UsageError(f"{where}: {value!r:.60} is not a whole number")
    return value


def positive(value: object, where: str) -> int:
    if whole(value, where) < 1:
        raise UsageError(f"{where}: {value!r:.60} is not a positive whole number")
    return whole(value, where)


def number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{where}: {value!r:.60} is not a finite number")
    return float(value)


def numbers(value: object, where: str) -> tuple[float, ...]:
    if not isinstance(value, list) or not value:
        raise UsageError(f"{where}: {value!r:.60} is not a list of numbers")
    return tuple(number(member, where) for member in value)


def choice(value: object, where: str, choices: Sequence[str]) -> str:
    found = text(value, where)
    by_lower = {choice.lower(): choice for choice in choices}
    if found.lower() not in by_lower:
        raise UsageError(f"{where}: {unknown_choice('value', found, choices)}")
    return by_lower[found.lower()]
