"""The instructions that XNNPACK takes for an operator in each arithmetic, estimated from its kind and size.

`costs.toml` holds, for each kind and arithmetic, instructions of a Cortex-A76 for each multiply-accumulate,
each number read, each number made, and each operator. It is fitted to operators counted one by one on the
emulated core (`make costs`). If a file can be counted, its own counts are used instead.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

from exporters.tflite.quantized.tables import Operator, Tables

TABLE = Path(__file__).with_name("costs.toml")
INT8, CONVERSION = "int8", "conversion"
_BROADCAST = ("ADD", "SUB", "MUL", "DIV", "SQUARED_DIFFERENCE", "MAXIMUM", "MINIMUM")


@dataclass(frozen=True)
class Work:
    """The work of an operator, in numbers of multiply-accumulates, of inputs and of outputs."""

    macs: int
    read: int
    """Elements of all computed inputs."""
    made: int
    """Elements of all outputs."""


def work_of(tables: Tables, operator: Operator) -> Work:
    """The work of one operator of a file."""
    made = sum(tables.size(one) for one in operator.outputs)
    read = sum(tables.size(one) for one in operator.inputs if not tables.is_constant(one))
    return Work(macs=_macs(tables, operator, made), read=read, made=made)


def instructions(kind: str, arithmetic: str, work: Work) -> float:
    """The estimate for one operator; a kind that was never counted costs as the dearest elementwise one."""
    table = _read(TABLE).get(arithmetic, {})
    factors = table.get(kind)
    if factors is None:
        return max((_cost(table[one], work) for one in _BROADCAST if one in table), default=float(work.made))
    return _cost(factors, work)


def conversion(numbers: int) -> float:
    """The estimate for a QUANTIZE or DEQUANTIZE of `numbers` elements."""
    return _cost(_read(TABLE)[CONVERSION][CONVERSION], Work(0, numbers, numbers))


def estimate(tables: Tables, islands: str) -> float:
    """The estimate for a whole file, in instructions; `islands` is the arithmetic of its float operators."""
    total = 0.0
    for operator in tables.operators:
        work = work_of(tables, operator)
        if operator.kind in ("QUANTIZE", "DEQUANTIZE"):
            total += conversion(work.made)
            continue
        is_int8 = tables.graph.tensors[operator.result].type == tables.schema.TensorType.INT8
        total += instructions(operator.kind, INT8 if is_int8 else islands, work)
    return total


def _cost(factors: Mapping[str, float], work: Work) -> float:
    return (
        factors["mac"] * work.macs
        + factors["read"] * work.read
        + factors["made"] * work.made
        + factors["each"]
    )


def _macs(tables: Tables, operator: Operator, made: int) -> int:
    if operator.kind == "BATCH_MATMUL":
        turned = bool(operator.table.builtinOptions.adjX)
        return made * tables.shape(operator.inputs[0])[-2 if turned else -1]
    if operator.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
        return 0
    shape = tables.shape(operator.inputs[1])
    if operator.kind == "TRANSPOSE_CONV":
        return tables.size(operator.inputs[2]) * prod(shape[:-1])
    return made * prod(shape[1:3] if operator.kind == "DEPTHWISE_CONV_2D" else shape[1:])


@cache
def _read(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """The factors "mac", "read", "made" and "each", by arithmetic and kind."""
    return tomllib.loads(path.read_text(encoding="utf-8"))
