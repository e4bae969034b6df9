"""What an operator costs XNNPACK in each arithmetic, estimated from its kind and its size.

`costs.toml` holds, for each kind and arithmetic, instructions of a Cortex-A76 for every multiply-accumulate,
every number read, every number made, and every operator. It is fitted to operators counted one by one on the
emulated core (`make costs`). Where a file can be counted, its own counts are used instead.
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
    """What an operator has to do."""

    macs: int
    read: int
    """Numbers of all inputs that are computed."""
    made: int
    """Numbers of all outputs."""


def work_of(tables: Tables, operator: Operator) -> Work:
    """The multiply-accumulates of an operator, and the numbers it reads and makes."""
    made = sum(tables.size(one) for one in operator.outputs)
    read = sum(tables.size(one) for one in operator.inputs if not tables.is_constant(one))
    return Work(macs=_macs(tables, operator, made), read=read, made=made)


def instructions(kind: str, arithmetic: str, work: Work) -> float:
    """The estimate for one operator; of a kind that was never counted, the dearest elementwise one's."""
    table = _read(TABLE).get(arithmetic, {})
    factors = table.get(kind)
    if factors is None:
        return max((_cost(table[one], work) for one in _BROADCAST if one in table), default=float(work.made))
    return _cost(factors, work)


def conversion(numbers: int) -> float:
    """The estimate for a QUANTIZE or DEQUANTIZE of so many numbers."""
    return _cost(_read(TABLE)[CONVERSION][CONVERSION], Work(0, numbers, numbers))


def estimate(tables: Tables, islands: str) -> float:
    """The estimate for a whole file, whose float operators are computed in `islands`."""
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
    """By arithmetic and kind."""
    return tomllib.loads(path.read_text(encoding="utf-8"))
