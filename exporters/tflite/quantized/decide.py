"""The operators of a file that can be computed in int8, and those that are by default.

An operator that XNNPACK takes in int8 is quantized, except for

    denominators    a divisor, or the operand of a root or a logarithm, needs its small numbers exactly. All
                    operators are float from there back to the matrix product or the layer before
    normalizations  MEAN - SUB - SQUARE - MEAN - ADD - RSQRT - MUL and the factors after it
    matrix products BATCH_MATMUL of two activations, as in attention
    lonely ones     an operator without weights whose neighbours are all float: it would be converted twice
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exporters.tflite.quantized.support import INPUT, Support, int8_support
from exporters.tflite.quantized.tables import ABSENT, WEIGHTED, Operator, Tables
from mocovit_deploy.quantization.grid import Grid, activation_grid

EXACT_INPUTS: Mapping[str, tuple[int, ...]] = {
    "DIV": (1,),
    "RSQRT": (0,),
    "SQRT": (0,),
    "LOG": (0,),
    "EXP": (0,),
    "POW": (0,),
}
"""Operators that magnify small differences of an input, and the places of that input."""


def possible(tables: Tables, grids: Mapping[int, Grid]) -> set[int]:
    """The operators, by index, that XNNPACK would compute in int8 and whose values have grids."""
    support = int8_support()
    exact = denominators(tables)
    return {
        operator.index
        for operator in tables.operators
        if operator.kind in support
        and operator.index not in exact
        and _fits(tables, operator, support[operator.kind], grids)
    }


def usual(tables: Tables, grids: Mapping[int, Grid]) -> set[int]:
    """The operators that a file quantizes if none were counted, as the module describes."""
    chosen = possible(tables, grids) - normalizations(tables)
    chosen -= {one.index for one in tables.operators if one.kind == "BATCH_MATMUL"}
    return without_lonely(tables, chosen)


def with_wide_kernels(tables: Tables, chosen: set[int]) -> set[int]:
    """The operators of `chosen` that TFLite computes with int16 activations."""
    support = int8_support()
    wide = {one.index for one in tables.operators if one.kind in support and support[one.kind].wide}
    return without_lonely(tables, chosen & wide)


def without_lonely(tables: Tables, chosen: set[int]) -> set[int]:
    """`chosen` without operators whose neighbours are all float; operators with weights stay."""
    chosen = set(chosen)
    while True:
        lonely = {
            operator.index
            for operator in tables.operators
            if operator.index in chosen
            and operator.kind not in WEIGHTED
            and not any(one.index in chosen for one in _neighbours(tables, operator))
        }
        if not lonely:
            return chosen
        chosen -= lonely


def denominators(tables: Tables) -> set[int]:
    """The operators that must be exact, because an operator of `EXACT_INPUTS` depends on their results."""
    found: set[int] = set()
    for operator in tables.operators:
        for place in EXACT_INPUTS.get(operator.kind, ()):
            _walk(tables.maker.get(operator.inputs[place]), found, lambda one: _before(tables, one))
    return found


def normalizations(tables: Tables) -> set[int]:
    """The operators of every layer normalization: from its MEAN to each RSQRT, and on to its factors."""
    found: set[int] = set()
    for operator in tables.operators:
        if operator.kind != "RSQRT":
            continue
        for source in _before(tables, operator):
            _walk(source, found, lambda one: _before(tables, one) if one.kind != "BATCH_MATMUL" else [])
        for reader in tables.readers[operator.result]:
            _walk(reader, found, lambda one: _affine_after(tables, one))
    return found


def _walk(start: Operator | None, found: set[int], following: Callable[[Operator], list[Operator]]) -> None:
    """Add `start` and all operators that `following` reaches from it, up to layers with weights."""
    pending = [start] if start is not None else []
    while pending:
        operator = pending.pop()
        if operator.index in found or operator.kind in WEIGHTED:
            continue
        found.add(operator.index)
        if operator.kind != "BATCH_MATMUL":
            pending += following(operator)


def _before(tables: Tables, operator: Operator) -> list[Operator]:
    return [tables.maker[one] for one in tables.computed(operator) if one in tables.maker]


def _affine_after(tables: Tables, operator: Operator) -> list[Operator]:
    """The readers of an operator that multiply by a constant or add one."""
    return [
        reader
        for reader in tables.readers[operator.result]
        if reader.kind in ("MUL", "ADD") and any(tables.is_constant(one) for one in reader.inputs)
    ]


def _neighbours(tables: Tables, operator: Operator) -> list[Operator]:
    return [*_before(tables, operator), *(one for out in operator.outputs for one in tables.readers[out])]


def _fits(tables: Tables, operator: Operator, known: Support, grids: Mapping[int, Grid]) -> bool:
    sources = tables.computed(operator)
    if not sources or not all(one in grids for one in (*sources, *operator.outputs)):
        return False
    if known.inputs is not None and not known.inputs[0] <= len(operator.inputs) <= known.inputs[1]:
        return False
    if operator.kind in WEIGHTED:
        constant = [one for one in operator.inputs if one not in sources]
        return len(sources) == 1 and all(tables.is_constant(one) for one in constant)
    if known.grid == INPUT and len(sources) < len([one for one in operator.inputs if tables.is_float(one)]):
        return operator.kind == "CONCATENATION"
    return known.ratio is None or _within(tables, operator, known.ratio, grids)


def _within(
    tables: Tables, operator: Operator, ratio: tuple[float, float], grids: Mapping[int, Grid]
) -> bool:
    """True if XNNPACK takes the scales of an ADD, SUB or MUL; too small a scale can be made coarser."""
    result = grids[operator.result].scale[0]
    scales = [scale_of(tables, one, grids) for one in operator.inputs if one != ABSENT]
    if operator.kind == "MUL":
        return ratio[0] <= scales[0] * scales[1] / result < ratio[1]
    return all(one / result < ratio[1] for one in scales)


def scale_of(tables: Tables, tensor: int, grids: Mapping[int, Grid]) -> float:
    """The scale of a tensor: that of its grid if it is computed, else of `constant_grid`."""
    if not tables.is_constant(tensor):
        return grids[tensor].scale[0]
    return constant_grid(tables, tensor).scale[0]


def constant_grid(tables: Tables, tensor: int, dtype: str = "int8") -> Grid:
    """The grid of a constant operand, from its smallest to its largest number, with 0 included."""
    numbers = tables.array(tensor)
    return activation_grid((float(numbers.min(initial=0)), float(numbers.max(initial=0))), dtype)
