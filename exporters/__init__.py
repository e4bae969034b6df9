"""File formats. One format is one module with `export` and `load`; a new one is a file and a word here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from exporters import coreml, onnx, tflite
    from mocovit_deploy.format import Format

    # mypy holds each format to the protocol here.
    _onnx: Format = onnx
    _coreml: Format = coreml
    _tflite: Format = tflite

FORMATS = ("onnx", "coreml", "tflite")


def format_named(name: str) -> Format:
    """The module of a format; `UsageError` with the known ones where there is none."""
    from mocovit_deploy.errors import unknown_choice

    if name not in FORMATS:
        raise unknown_choice("format", name, FORMATS)
    return cast("Format", importlib.import_module(f"exporters.{name}"))
