"""What a quantized Core ML file rounds: operands in front of operations, and weights.

before   c - quantize - dequantize - conv(W8) - y
found    conv reads c in the levels of the pair, and its weights are in whole numbers; c itself has none
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from exporters.coreml.program import Operation, Program
from mocovit_deploy.artifacts.marks import Levels, RoundedRead, integer_levels, marks_in

LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}


def before_cast(operation: Operation, makers: Mapping[str, Operation]) -> Operation:
    """The operation whose result a cast passes on; any other is itself."""
    while operation.kind == "cast" and (made := makers.get(str(operation.operands["x"]))) is not None:
        operation = made
    return operation


def reads_of(
    program: Program, operation: Operation, marks: Mapping[str, str], makers: Mapping[str, Operation]
) -> tuple[RoundedRead, ...]:
    """The operands of an operation that a pair rounds.

    `marks` are by the name of a value, `makers` the operations by the name of what they make.
    """
    found = []
    inputs = {value.name for value in program.inputs}
    for name in operation.reads():
        source = _before_pair(name, makers)
        levels = None if source == name else _levels(program, makers[name], makers)
        source = _before_casts(source, makers)
        where = (source,) if source in inputs else marks_in(marks.get(source, ""))
        if levels is not None and where:
            found.append(RoundedRead(where, levels))
    return tuple(found)


def has_whole_weights(program: Program, operation: Operation) -> bool:
    """True if the weights of an operation are stored in whole numbers."""
    return operation.operands.get("weight") in program.whole


def _before_pair(name: str, makers: Mapping[str, Operation]) -> str:
    """The value that a `dequantize` behind a `quantize` makes again; any other is itself."""
    widen = makers.get(name)
    if widen is None or widen.kind != "dequantize":
        return name
    quantize = makers.get(str(widen.operands["input"]))
    return name if quantize is None or quantize.kind != "quantize" else str(quantize.operands["input"])


def _before_casts(name: str, makers: Mapping[str, Operation]) -> str:
    made = makers.get(name)
    if made is None or made.kind != "cast":
        return name
    return _before_casts(str(made.operands["x"]), makers)


def _levels(program: Program, widen: Operation, makers: Mapping[str, Operation]) -> Levels | None:
    """The levels of a pair; None if it has several scales, or numbers of another width."""
    quantize = makers[str(widen.operands["input"])]
    (stored,) = quantize.outputs
    scale, zero = (
        np.asarray(_constant(program, quantize, name, default))
        for name, default in (("scale", 1.0), ("zero_point", 0))
    )
    if stored.dtype not in LIMITS or scale.size != 1 or zero.size != 1:
        return None
    return integer_levels(float(scale.item()), float(zero.item()), LIMITS[stored.dtype])


def _constant(program: Program, operation: Operation, name: str, default: Any) -> Any:
    operand = operation.operands.get(name)
    return default if operand is None else program.constants[str(operand)]
