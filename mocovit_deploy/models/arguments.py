"""Read words of the command line as fields of a configuration dataclass, or as Python literals."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any

from mocovit_deploy.errors import UsageError, unknown_choice

FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def literal(text: str) -> Any:
    """ "0.5" as a number, "True" as a flag, "(1, 2)" as a tuple; other text unchanged.

    >>> literal("0.5"), literal("true"), literal("gelu")
    (0.5, True, 'gelu')
    """
    if text.lower() in ("true", "false"):
        text = text.capitalize()
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def parse_arguments(config: type, words: Mapping[str, str]) -> dict[str, Any]:
    """Read {"num_heads": "2", "value_relu": "yes", "transformer_se": "0101"} as fields of `config`.

    Raises `UsageError` for an unknown field, with the closest one, and for a word that does not fit its type.
    """
    fields = {field.name: field for field in dataclasses.fields(config)}
    parsed = {}
    for name, word in words.items():
        if name not in fields:
            raise unknown_choice("model argument", name, fields)
        kind = str(fields[name].type)
        try:
            parsed[name] = _parse(kind, word, fields[name].default)
        except (KeyError, ValueError):
            raise UsageError(
                f"model argument {name}: {word!r} is not {_described(kind, fields[name])}"
            ) from None
    return parsed


def _parse(kind: str, word: str, default: Any) -> Any:
    if kind == "bool":
        return FLAGS[word.lower()]
    if kind.startswith("tuple[bool"):
        flags = tuple(FLAGS[letter] for letter in word)
        if len(flags) != len(default):
            raise ValueError(word)
        return flags
    return {"int": int, "float": float, "str": str}[kind](word)


def _described(kind: str, field: dataclasses.Field[Any]) -> str:
    if kind.startswith("tuple[bool"):
        return f"{len(field.default)} digits 0 or 1"  # type: ignore[arg-type]
    return {"bool": "yes or no", "int": "a whole number", "float": "a number"}.get(kind, kind)
