"""Execute a `Program` with numpy, one operator after the other, each in its own arithmetic.

Floats of a step in fp16 are float16 arrays; those of any other step are float32 arrays. A float32 value is
rounded where a step in fp16 reads it, and where it enters a partition that XNNPACK computes in fp16.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from exporters.tflite.reference import dense, elementwise, pooling, reduction, resize, shape
from exporters.tflite.reference.delegate import FP16, WIDENED
from exporters.tflite.reference.program import FLOATS, Program, Step
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import ParityError

SEMANTICS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    dict(
        (
            *dense.OPERATIONS,
            *elementwise.OPERATIONS,
            *pooling.OPERATIONS,
            *reduction.OPERATIONS,
            *resize.OPERATIONS,
            *shape.OPERATIONS,
        )
    )
)
"""The function of each operator, by its name in the schema."""

_DENSE = frozenset(kind for kind, _ in dense.OPERATIONS)


def without_semantics(program: Program) -> tuple[str, ...]:
    """The kinds of operators that cannot be executed here, each once; some only for one type of output."""
    found: dict[str, None] = {}
    for step in program.steps:
        if step.kind not in SEMANTICS:
            found[step.kind] = None
        for index in step.outputs:
            if program.tensors[index].quantized or not _known(program.tensors[index].dtype):
                found[f"{step.kind} of {program.tensors[index].dtype}"] = None
    return tuple(found)


def _known(dtype: str) -> bool:
    return dtype in (*FLOATS, "int32", "int64", "bool")


class Macs(NamedTuple):
    """Numbers of multiply-accumulates."""

    in_half: int
    total: int


def macs_in_half(program: Program, arithmetics: Sequence[str]) -> Macs:
    """The multiply-accumulates of a program; `arithmetics` is that of each step."""
    totals = {True: 0, False: 0}
    for step, arithmetic in zip(program.steps, arithmetics, strict=True):
        if step.kind in _DENSE:
            shapes = [program.tensors[index].shape for index in step.inputs if index >= 0]
            totals[arithmetic == FP16] += dense.macs(step, shapes)
    return Macs(totals[True], sum(totals.values()))


def execute(program: Program, inputs: Mapping[str, Array], arithmetics: Sequence[str]) -> dict[str, Array]:
    """Run `program` on named arrays and return its named outputs, floats as float32.

    `arithmetics` is that of each step (delegate.py). Raises `ParityError` for a step that fails (named), and
    for inputs whose names or shapes are not those of the program.
    """
    values: dict[int, Array] = {}
    widened: set[int] = set()
    for name, index in program.inputs.items():
        tensor = program.tensors[index]
        if name not in inputs or np.shape(inputs[name]) != tensor.shape:
            given = np.shape(inputs[name]) if name in inputs else "nothing"
            raise ParityError(f"input {name} is {tensor.shape} in the file, {given} was given")
        values[index] = np.asarray(inputs[name], tensor.dtype)
    # Division by zero, overflow and NaN are results here; parity judges them.
    with np.errstate(all="ignore"):
        for step, arithmetic in zip(program.steps, arithmetics, strict=True):
            floats = np.float16 if arithmetic == FP16 else np.float32
            entering = {*step.inputs} - widened if arithmetic == WIDENED else set()
            results = _call(program, step, values, floats, entering)
            values |= dict(zip(step.outputs, results, strict=True))
            if arithmetic == WIDENED:
                widened.update(step.outputs)
    return {name: _outside(program, values, index) for name, index in program.outputs.items()}


def _outside(program: Program, values: Mapping[int, Array], index: int) -> Array:
    constant = program.tensors[index].constant
    value = values[index] if constant is None else constant
    return np.array(value, np.float32) if value.dtype == np.float16 else np.array(value)


def _call(
    program: Program,
    step: Step,
    values: Mapping[int, Array],
    floats: type[np.floating[Any]],
    entering: Collection[int],
) -> list[Array]:
    """The step's outputs, computed in `floats`; inputs in `entering` are first rounded to fp16."""

    def fetch(index: int) -> Array | None:
        if index < 0:
            return None
        constant = program.tensors[index].constant
        value = values[index] if constant is None else constant
        if value.dtype.name not in FLOATS:
            return value
        return (value.astype(np.float16) if index in entering else value).astype(floats, copy=False)

    where = program.tensors[step.outputs[0]].name
    try:
        result = SEMANTICS[step.kind](step, *map(fetch, step.inputs))
        made = [np.asarray(one) for one in (result if isinstance(result, list | tuple) else [result])]
        return [
            _declared(array, program.tensors[index].shape, program.tensors[index].dtype, floats)
            for array, index in zip(made, step.outputs, strict=True)
        ]
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise ParityError(f"{step.kind} (output {where}) failed: {error}") from error


def _declared(array: Array, shape: tuple[int, ...], dtype: str, floats: type[np.floating[Any]]) -> Array:
    if array.shape != shape:
        raise ValueError(f"made shape {array.shape}, the file declares {shape}")
    return array.astype(floats if dtype in FLOATS else dtype, copy=False)
