"""Read a TOML file, and check the types of its values.

Each reader takes a value and `where`, which names its place in the file, and returns the value in the type
that it must have. It raises `UsageError` for any other type.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mocovit_deploy.errors import UsageError, unknown_choice

LARGEST_BYTES = 1 << 20


def read_toml(path: Path) -> dict[str, Any]:
    """The document in a file. Raises `UsageError` if it cannot be read, is too large or is not TOML."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise UsageError(f"{path}: larger than {LARGEST_BYTES:,} bytes, the most that is read")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or nested too deeply
        raise UsageError(f"{path}: not TOML ({error})") from None


def text(value: object, where: str) -> str:
    """Text that is not empty."""
    if not isinstance(value, str):
        raise UsageError(f"{where}: {value!r:.60} is not text in quotes")
    if not value:
        raise UsageError(f"{where}: is empty")
    return value


def texts(value: object, where: str) -> tuple[str, ...]:
    """A list of text that is not empty."""
    if not isinstance(value, list) or not value:
        raise UsageError(f"{where}: {value!r:.60} is not a list of at least one text in quotes")
    return tuple(text(member, where) for member in value)


def flag(value: object, where: str) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise UsageError(f"{where}: {value!r:.60} is not true or false")
    return value


def whole(value: object, where: str) -> int:
    """A whole number, negative ones too."""
    if type(value) is not int:
        raise UsageError(f"{where}: {value!r:.60} is not a whole number")
    return value


def positive(value: object, where: str) -> int:
    """A whole number of at least 1."""
    if whole(value, where) < 1:
        raise UsageError(f"{where}: {value!r:.60} is not a positive whole number")
    return whole(value, where)


def number(value: object, where: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{where}: {value!r:.60} is not a finite number")
    return float(value)


def numbers(value: object, where: str) -> tuple[float, ...]:
    """A list of finite numbers that is not empty."""
    if not isinstance(value, list) or not value:
        raise UsageError(f"{where}: {value!r:.60} is not a list of at least one number")
    return tuple(number(member, where) for member in value)


def choice(value: object, where: str, choices: Sequence[str]) -> str:
    """One of `choices`, in any case; returned as `choices` spells it."""
    found = text(value, where)
    by_lower = {choice.lower(): choice for choice in choices}
    if found.lower() not in by_lower:
        raise UsageError(f"{where}: {unknown_choice('value', found, choices)}")
    return by_lower[found.lower()]
