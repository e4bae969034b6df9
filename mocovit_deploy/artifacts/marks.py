"""Marks: which operation of the re-parameterized graph computes a value inside a file.

    blocks.3.up.primary.0:conv2d_18       the torch module, then the operation's name in the graph

Exporters write them into files: in ONNX as metadata of nodes, in TFLite as names of tensors, in Core ML as
metadata of the file. Per-layer parity finds by them which values to compare. Plain data, no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MARK = re.compile(r"[^;:]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Levels:
    """The real numbers that a quantized value can be: `low` to `high` in steps of `step`."""

    low: float
    high: float
    step: float


def integer_levels(step: float, zero: float, limits: tuple[int, int]) -> Levels:
    """The levels of whole numbers from `limits[0]` to `limits[1]`, of which `zero` stands for 0."""
    low, high = limits
    return Levels((low - zero) * step, (high - zero) * step, step)


@dataclass(frozen=True)
class RoundedRead:
    """An operand that operators of a file read in whole numbers, though the value is not stored in them."""

    source: tuple[str, ...]
    """The marks of the value; of an input of the file, its name."""
    levels: Levels | None
    """None if they are chosen at each run, from the range of the value (dynamic quantization)."""


@dataclass(frozen=True)
class FileValue:
    """An intermediate value or an output of a file."""

    name: str
    """Unique in the file; a format's `load_inside` takes it."""
    marks: tuple[str, ...]
    """Marks of all operations that the converter fused into this value."""
    shape: tuple[int, ...]
    layout: str = ""
    """The format's usual layout for values of this rank, as in "nhwc"; a hint if the shape fits several."""
    levels: Levels | None = None
    """Of a value in whole numbers; None for others."""
    reads: tuple[RoundedRead, ...] = ()
    """What the operators with these marks round before they read it."""
    whole_weights: bool = False
    """Whether the weights that it is computed with are stored in whole numbers."""


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
    """The marks in a name that a converter joined from several, each once, in their order.

    >>> marks_in("stem.0:conv2d;stem.2:relu;stem.0:conv2d;arith.constant")
    ('stem.0:conv2d', 'stem.2:relu')
    """
    return tuple(dict.fromkeys(part for part in text.split(";") if _MARK.fullmatch(part)))


def modules_of(
    steps: Sequence[tuple[Sequence[str], Sequence[str]]], known: Mapping[str, str], owners: Mapping[str, str]
) -> list[str]:
    """The torch module of each step of a file, in order; "" for the network itself.

    `steps` are pairs: names of the values that a step reads, names of the values that it makes. `known` maps
    marked values to modules, `owners` maps parameters to modules.

    A converter adds unmarked steps, such as the Reshapes around a linear layer that it writes as a matrix
    product. Such a step gets the module whose parameters it reads; else the module of the next step that
    reads its result; else the module of the last value that it reads.
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
