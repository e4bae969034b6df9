"""Marks: which operation of the re-parameterized graph a value inside a file is.

    blocks.3.up.primary.0:conv2d_18       the torch module, then the operation's name in the graph

Exporters write them into files, in each format's own place (ONNX: metadata of nodes; TFLite: names of
tensors; Core ML: metadata of the file). Per-layer parity finds its way by them. Plain data, no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MARK = re.compile(r"[^;:]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class FileValue:
    """A value that a file computes on its way."""

    name: str
    """Unique in the file; what a format's `load_inside` calls it."""
    marks: tuple[str, ...]
    """Of the operations it is said to be, as several are where a converter made one operator of them."""
    shape: tuple[int, ...]
    layout: str = ""
    """How the format likes values of this rank to lie, as in "nhwc"; a hint where shapes leave a choice."""


def mark(module: str, operation: str) -> str:
    """The mark of an operation; `module` is its dotted path, empty for the network's own forward.

    >>> mark("blocks.3.se.reduce", "conv2d_21")
    'blocks.3.se.reduce:conv2d_21'
    """
    return f"{module}:{operation}"


def split_mark(text: str) -> tuple[str, str]:
    """The module and the operation of a mark.

    >>> split_mark("blocks.3.se.reduce:conv2d_21")
    ('blocks.3.se.reduce', 'conv2d_21')
    """
    module, _, operation = text.rpartition(":")
    return module, operation


def marks_in(text: str) -> tuple[str, ...]:
    """The marks in a name that a converter put together, each once, in their order.

    >>> marks_in("stem.0:conv2d;stem.2:relu;stem.0:conv2d;arith.constant")
    ('stem.0:conv2d', 'stem.2:relu')
    """
    return tuple(dict.fromkeys(part for part in text.split(";") if _MARK.fullmatch(part)))


def modules_of(
    steps: Sequence[tuple[Sequence[str], Sequence[str]]], known: Mapping[str, str], owners: Mapping[str, str]
) -> list[str]:
    """The torch module of each step of a file, (what it reads, what it makes), in order; "" for the network.

    A converter makes steps of its own, as the Reshapes around a linear layer that it writes as a product of
    matrices. They are of the module whose parameters they read, or else of the next step that reads them, or
    else of the last that they read. `known` are the modules by value, `owners` those of parameters.
    """
    found = dict(known)
    for reads, makes in reversed(steps):
        own = (owners[value] for value in reads if value in owners)
        module = next((found[value] for value in makes if value in known), next(own, None))
        if module is None:
            module = next((found[value] for value in makes if value in found), None)
        if module is not None:
            found |= {value: module for value in makes if value not in known}
            found |= {value: module for value in reads if value not in known}
    for reads, makes in steps:
        module = next((found[value] for value in (*makes, *reversed(reads)) if value in found), "")
        found |= {value: module for value in makes if value not in found}
    return [next((found[value] for value in makes if value in found), "") for _, makes in steps]
