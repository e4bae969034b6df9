"""Marks: which operation of the re-parameterized graph a value inside a file is.

    blocks.3.up.primary.0:conv2d_18       the torch module, then the operation's name in the graph

Exporters write them into files, in each format's own place (ONNX: metadata of nodes; TFLite: names of
tensors; Core ML: metadata of the file). Per-layer parity finds its way by them. Plain data, no torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mocovit_deploy.artifact import Artifact, Predictor

_MARK = re.compile(r"[^;:]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class FileValue:
    """A value that a file computes on its way."""

    name: str
    """Unique in the file; what `load_inside` calls it."""
    marks: tuple[str, ...]
    """Of the operations it is said to be, as several are where a converter made one operator of them."""
    shape: tuple[int, ...]
    layout: str = ""
    """How the format likes values of this rank to lie, as in "nhwc"; a hint where shapes leave a choice."""


class Inside(Protocol):
    """What a format offers for looking inside its files, beside `Format`."""

    def values(self, artifact: Artifact) -> tuple[FileValue, ...]:
        """The marked values of a file, in the order they are computed."""
        ...

    def load_inside(self, artifact: Artifact, names: Sequence[str], given: Sequence[str]) -> Predictor:
        """The file in its runtime, returning the values `names` too.

        Whatever reads a value in `given` reads what the caller passes under that name, not what the file
        computed; the computed value is still returned where `names` asks for it.
        """
        ...


def mark(module: str, operation: str) -> str:
    """The mark of an operation; `module` is its dotted path, empty for the network's own forward."""
    return f"{module}:{operation}"


def split(text: str) -> tuple[str, str]:
    """The module and the operation of a mark."""
    module, _, operation = text.rpartition(":")
    return module, operation


def marks_in(text: str) -> tuple[str, ...]:
    """The marks in a name that a converter put together, each once, in their order."""
    return tuple(dict.fromkeys(part for part in text.split(";") if _MARK.fullmatch(part)))
