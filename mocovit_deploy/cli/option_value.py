"""Types of options for argparse: functions from the text of a value. Nothing heavy is imported.

Each raises `argparse.ArgumentTypeError` that quotes the text and says what it should be.
"""

from __future__ import annotations

import argparse

from mocovit_deploy.spec import sides_of, strides_of

MOST = 1e30
"""Larger numbers make no sense in preprocessing."""


def words(text: str) -> tuple[str, ...]:
    """One or more words with commas between them."""
    words = tuple(word for word in text.split(",") if word)
    if not words:
        raise argparse.ArgumentTypeError(f"{text!r} is an empty list")
    return words


def choices(text: str) -> tuple[str, ...]:
    """One or more words, in lower case."""
    return words(text.lower())


def pair(text: str) -> tuple[str, str]:
    """NAME=VALUE as (name, value)."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def image_size(text: str) -> tuple[int, int]:
    """One number or HEIGHTxWIDTH as (height, width).

    >>> image_size("224"), image_size("896x1792")
    ((224, 224), (896, 1792))
    """
    try:
        return sides_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number or HEIGHTxWIDTH") from None


def seed(text: str) -> int:
    """A whole number from 0 to 2^63 - 1, which torch takes as a seed."""
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 2^63 - 1")
    return int(text)


def strides(text: str) -> tuple[int, ...]:
    """Different powers of two with commas between them, sorted.

    >>> strides("32,8")
    (8, 32)
    """
    numbers = list(map(positive, words(text)))
    try:
        return strides_of(numbers)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of different powers of two, as 8,16,32"
        ) from None


def number(text: str) -> float:
    """A decimal number or a fraction, as "1/255"."""
    above, slash, below = text.partition("/")
    try:
        value = float(above) / (float(below) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not abs(value) < MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def numbers(text: str) -> tuple[float, ...]:
    """One or more numbers with commas between them."""
    return tuple(map(number, words(text)))


def not_zero(text: str) -> float:
    """A number other than 0."""
    if not number(text):
        raise argparse.ArgumentTypeError(f"{text!r} is 0, which would make every pixel 0")
    return number(text)


def positive_numbers(text: str) -> tuple[float, ...]:
    """One or more numbers above 0."""
    if not all(number > 0 for number in numbers(text)):
        raise argparse.ArgumentTypeError(f"{text!r} holds a number that is not above 0")
    return numbers(text)


def share_of_points(text: str) -> float:
    """Percentage points: a number above 0 and at most 100."""
    if not 0 < number(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and at most 100")
    return number(text)


def colour_order(text: str) -> str:
    """RGB or BGR, in capitals."""
    if text.upper() not in ("RGB", "BGR"):
        raise argparse.ArgumentTypeError(f"{text!r} is not RGB or BGR")
    return text.upper()


def free_dimension(text: str) -> str:
    """The name of a dimension that the caller of a file chooses; only "batch" can be."""
    if text.lower() != "batch":
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be left to the caller of a file, only batch can (in ONNX files); export once "
            "for each --image-size"
        )
    return text.lower()
