"""Read the words of a command line as values. argparse prints each `ArgumentTypeError` as one line."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path


def positive(word: str) -> int:
    """A whole number from 1."""
    if not word.isascii() or not word.isdigit() or int(word) < 1:
        raise ArgumentTypeError(f"{word!r} is not a positive whole number")
    return int(word)


def option(word: str) -> tuple[str, str]:
    """NAME=VALUE, as (name, value)."""
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise ArgumentTypeError(f"{word!r} is not NAME=VALUE")
    return name, value


def numbered(word: str) -> tuple[str, int]:
    """FORMAT=NUMBER, as (format, number)."""
    name, number = option(word)
    return name, positive(number)


def file_kind(word: str) -> tuple[str, str]:
    """FORMAT:PRECISION, as (format, precision)."""
    name, colon, recipe = word.partition(":")
    if not (name and colon and recipe):
        raise ArgumentTypeError(f"{word!r} is not FORMAT:PRECISION")
    return name, recipe


def checkpoint(word: str) -> Path:
    """The path of a .safetensors file, which need not exist."""
    if not word.endswith(".safetensors"):
        raise ArgumentTypeError(f"{word!r} does not end in .safetensors")
    return Path(word)
