"""What one value of an option may be: functions from its text, for argparse. Nothing else is imported.

Each raises `argparse.ArgumentTypeError` with the text and what was wanted.
"""

from __future__ import annotations

import argparse

MOST = 1e30
"""Larger numbers than this are no preprocessing."""


def words(text: str) -> tuple[str, ...]:
    words = tuple(word for word in text.split(",") if word)
    if not words:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return words


def choices(text: str) -> tuple[str, ...]:
    return words(text.lower())


def pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def image_size(text: str) -> tuple[int, int]:
    """Height and width.

    >>> image_size("224"), image_size("896x1792")
    ((224, 224), (896, 1792))
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(one.isascii() and one.isdigit() and int(one) for one in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number, nor HEIGHTxWIDTH")
    return int(sides[0]), int(sides[-1])


def seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 0 to 2^63 - 1")
    return int(text)


def strides(text: str) -> tuple[int, ...]:
    """ "8,16,32": different powers of two, in order.

    >>> strides("32,8")
    (8, 32)
    """
    found = sorted(map(positive, words(text)))
    if len(set(found)) < len(found) or any(one & (one - 1) for one in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of different powers of two, as 8,16,32")
    return tuple(found)


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
    return tuple(map(number, words(text)))


def not_zero(text: str) -> float:
    if not number(text):
        raise argparse.ArgumentTypeError("0 would lose the image")
    return number(text)


def positive_numbers(text: str) -> tuple[float, ...]:
    if not all(number > 0 for number in numbers(text)):
        raise argparse.ArgumentTypeError(f"{text!r} holds a number that is not above 0")
    return numbers(text)


def share_of_points(text: str) -> float:
    if not 0 < number(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0 and at most 100 points")
    return number(text)


def colour_order(text: str) -> str:
    if text.upper() not in ("RGB", "BGR"):
        raise argparse.ArgumentTypeError(f"{text!r} is not RGB or BGR")
    return text.upper()


def free_dimension(text: str) -> str:
    if text.lower() != "batch":
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be left free in any format, only batch (in ONNX files); export once for each "
            "--image-size"
        )
    return text.lower()
