"""The mixture of int8 and float operators that takes the fewest instructions.

    before   every operator float                  after   int8 where that is cheaper, conversions included

Some operators are always in the same arithmetic: LOGISTIC and the MUL of a SiLU, which are one look-up in
int8, and a PAD with the convolutions that read it, which XNNPACK fuses in int8. HARD_SWISH has no int8 form,
but XNNPACK fuses it with the DEQUANTIZE before and the QUANTIZE after it into one look-up, which is its cost
among int8 operators. The file stays in one partition in every mixture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf

from exporters.tflite.quantized.costs import INT8, conversion, instructions, work_of
from exporters.tflite.quantized.decide import possible, usual
from exporters.tflite.quantized.grids import values_of
from exporters.tflite.quantized.tables import Operator, Tables
from mocovit_deploy.quantization.arithmetic import ArithmeticChoice
from mocovit_deploy.quantization.cut import Labelling, Value, cheapest
from mocovit_deploy.quantization.grid import Grid

LOOKED_UP = ("HARD_SWISH",)


def cheapest_mix(
    tables: Tables, grids: Mapping[int, Grid], choice: ArithmeticChoice, islands: str
) -> Labelling:
    """The operators in int8, and the instructions of the file; `islands` is the arithmetic of the others.

    `choice` may hold counted instructions, which replace the estimates, and a price of noise.
    """
    allowed = usual(tables, grids) if choice.careful else possible(tables, grids)
    looked_up = {
        one.index
        for one in tables.operators
        if one.kind in LOOKED_UP and all(tensor in grids for tensor in (one.inputs[0], one.result))
    }
    if choice.nothing or choice.everything:
        return Labelling(int8=frozenset(allowed if choice.everything else ()), cost=inf)
    noise = _noise_of_operators(tables, choice)
    looked_up_before = {product for _, product in silus(tables)}
    int8_costs, float_costs = [], []
    for operator in tables.operators:
        work, place = work_of(tables, operator), operator.index
        as_int8 = choice.int8_instructions.get(place)
        as_float = choice.float_instructions.get(place)
        if as_int8 is None:
            free = place in looked_up_before
            as_int8 = 0.0 if free else instructions(operator.kind, INT8, work)
        if as_float is None:
            as_float = instructions(operator.kind, islands, work)
        priced = as_int8 + choice.noise_price * noise.get(place, 0.0)
        int8_costs.append(priced if place in allowed | looked_up else inf)
        float_costs.append(as_float)
    tied = [pair for pair in (*silus(tables), *padded(tables)) if allowed.issuperset(pair)]
    found = cheapest(int8_costs, float_costs, values_between(tables), tied)
    return replace(found, int8=found.int8 - looked_up)


def values_between(tables: Tables) -> list[Value]:
    """The float tensors between operators, each with the estimate for its conversion."""
    outputs = set(tables.outputs())
    return [
        Value(
            made_by=tables.maker[tensor].index if tensor in tables.maker else None,
            read_by=tuple(one.index for one in tables.readers[tensor]),
            is_output=tensor in outputs,
            conversion=conversion(tables.size(tensor)),
        )
        for tensor in tables.activations()
    ]


def silus(tables: Tables) -> list[tuple[int, int]]:
    """The indices of LOGISTIC and MUL of each x * sigmoid(x)."""
    pairs = []
    for operator in tables.operators:
        if operator.kind != "MUL":
            continue
        first, second = operator.inputs
        for value, factor in ((first, second), (second, first)):
            maker = tables.maker.get(factor)
            if maker is not None and maker.kind == "LOGISTIC" and maker.inputs[0] == value:
                pairs.append((maker.index, operator.index))
    return pairs


def padded(tables: Tables) -> list[tuple[int, int]]:
    """The indices of each PAD and of each convolution that reads it."""
    return [
        (operator.index, reader.index)
        for operator in tables.operators
        if operator.kind == "PAD"
        for reader in tables.readers[operator.result]
        if reader.kind in ("CONV_2D", "DEPTHWISE_CONV_2D")
    ]


def _noise_of_operators(tables: Tables, choice: ArithmeticChoice) -> dict[int, float]:
    found: dict[int, float] = {}
    for operation, tensor in values_of(tables).items():
        maker: Operator | None = tables.maker.get(tensor)
        if maker is not None and operation in choice.noise:
            found[maker.index] = max(found.get(maker.index, 0.0), choice.noise[operation])
    return found
