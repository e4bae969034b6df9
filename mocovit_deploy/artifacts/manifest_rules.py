"""What a manifest may hold, checked field by field before it is used.

`mocovit-export` writes manifests, but somebody may have edited or invented this one. Fields that are not
named here are checked by the constructor of `Artifact`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from mocovit_deploy.spec import BATCH, LAYOUTS

DTYPES = (
    "bool",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
)
"""Element types of inputs and outputs, as numpy calls them."""

LARGEST_LENGTH = 1 << 24
MOST_AXES = 8
MOST_TENSORS = 1000
LONGEST_NAME = 500

_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_manifest(document: Mapping[str, Any]) -> None:
    """Raise `ValueError` that names the field of an impossible value, `KeyError` for an absent field."""
    for key in ("format", "recipe", "model", "weights"):
        _text(document[key], key)
    for key in ("sha256", "golden_sha256"):
        if not isinstance(document[key], str) or not _DIGEST.fullmatch(document[key]):
            raise ValueError(f"{key} is not a digest of 64 hexadecimal digits")
    for side in ("inputs", "outputs"):
        _tensors(document[side], side)
    _preprocessing(document["preprocessing"])
    for tool, version in _mapping(document.get("tools", {}), "tools").items():
        _text(tool, "a tool's name")
        _text(version, f"the version of {tool}")
    for key, done in (("passes", document["passes"]), ("lowering", document.get("lowering", []))):
        if not isinstance(done, list) or not all(isinstance(one, dict) for one in done):
            raise ValueError(f"{key} is not a list of objects")
    for key in ("parity", "quantization", "execution", "accuracy", "task"):
        if document.get(key) is not None:
            _mapping(document[key], key)


def _tensors(value: Any, side: str) -> None:
    if not isinstance(value, list) or len(value) > MOST_TENSORS:
        raise ValueError(f"{side} is not a list of tensors")
    for tensor in value:
        fields = _mapping(tensor, f"a tensor of {side}")
        name = _text(fields["name"], f"a name in {side}")
        shape = fields["shape"]
        if not isinstance(shape, list) or len(shape) > MOST_AXES or not all(map(_is_length, shape)):
            raise ValueError(f"{name} has shape {shape!r:.80}")
        if fields["dtype"] not in DTYPES:
            raise ValueError(f"{name} has the element type {str(fields['dtype'])[:40]!r}")
        if fields.get("layout", "") not in ("", *LAYOUTS):
            raise ValueError(f"{name} has the layout {str(fields['layout'])[:40]!r}")
    names = [tensor["name"] for tensor in value]
    if len(set(names)) != len(names):
        raise ValueError(f"two of its {side} have one name")


def _is_length(value: Any) -> bool:
    return value == BATCH or (type(value) is int and 0 < value <= LARGEST_LENGTH)


def _preprocessing(value: Any) -> None:
    fields = _mapping(value, "preprocessing")
    for key in ("mean", "std"):
        if not isinstance(fields[key], list) or len(fields[key]) > MOST_TENSORS:
            raise ValueError(f"preprocessing {key} is not a list of numbers")
    for number in (fields["scale"], *fields["mean"], *fields["std"]):
        if type(number) not in (int, float) or not abs(number) < 1e30 or not math.isfinite(number):
            raise ValueError(f"preprocessing holds {number!r:.40}, not a number")
    _text(fields["colour_order"], "preprocessing colour_order")
    if fields.get("built_in") is not None:
        if _mapping(fields["built_in"], "preprocessing built_in").get("built_in") is not None:
            raise ValueError("preprocessing built_in holds a built_in of its own")
        _preprocessing(fields["built_in"])
    assumed = fields.get("assumed", [])
    if not isinstance(assumed, list) or not set(map(str, assumed)) <= fields.keys():
        raise ValueError(f"preprocessing assumed is {assumed!r:.80}, not a list of its fields")


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")  # noqa: TRY004 - the document is wrong, not a type here
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.isprintable() or len(value) > LONGEST_NAME:
        raise ValueError(f"{what} is {str(value)[:40]!r}, not a line of text")
    return value
