"""Read words of the command line as fields of a configuration dataclass, or as Python literals."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from mocovit_deploy.errors import UsageError, unknown_choice
from mocovit_deploy.spec import InputSpec, ModelSpec

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


_Config = TypeVar("_Config")


def own_config(spec: ModelSpec, config: type[_Config], **defaults: Any) -> _Config:
    """The configuration of a network of this package: `defaults`, then --num-classes, then --model-arg.

    Raises `UsageError` for images of other channels than 3 and for --pretrained, as no weights are published;
    also the errors of `parse_arguments` and `config`.
    """
    if spec.channels != InputSpec.channels:
        raise UsageError(f"{spec.name} takes {InputSpec.channels} channels, not {spec.channels}")
    if spec.pretrained:
        raise UsageError(
            f"{spec.name}: no pretrained weights are published; leave out --pretrained, or give --checkpoint"
        )
    classes = {} if spec.num_classes is None else {"num_classes": spec.num_classes}
    return config(**{**defaults, **classes, **parse_arguments(config, dict(spec.arguments))})


def require_positive(config: Any, *names: str, or_zero: tuple[str, ...] = ()) -> None:
    """Raise `UsageError` for a field of `names` that is below 1, or one of `or_zero` that is below 0."""
    for name in names:
        if getattr(config, name) < 1:
            raise UsageError(f"model argument {name}: {getattr(config, name)} is not above 0")
    for name in or_zero:
        if getattr(config, name) < 0:
            raise UsageError(f"model argument {name}: {getattr(config, name)} is below 0")


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
