"""Execute a `Program` with numpy, one operation after the other.

Two arithmetics:

    fp32   every float is computed and kept in float32, whatever type the file declares
    fp16   a value that the file declares float16 is rounded to float16 once its operation is done. Inside an
           operation the arithmetic is float32, so a sum (convolution, matmul, mean, softmax, normalization)
           is accumulated in float32 and rounded once.

Why one rounding for each operation: values between operations are stored as float16, so all implementations
have this rounding in common, and the *file* decides it. How a processor accumulates within an operation
differs, and Apple documents it for none; matrix units usually accumulate float16 products in float32. A
processor that accumulates in float16 has larger errors. So the result shows what the file's own format
costs; it is not a bound for every device.

A value overflows to infinity beyond 65504, and is lost below 6e-8, exactly where it is stored as float16.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from exporters.coreml.marks import module_of
from exporters.coreml.program import Operand, Operation, Program, Value
from exporters.coreml.semantics import REFUSALS, SEMANTICS
from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.errors import ParityError

ARITHMETICS = ("fp32", "fp16")

NAMED_AT_MOST = 5

_DTYPES = {"fp16": np.float32, "fp32": np.float32, "bool": np.bool_}
"""How a declared type is held; any other is an integer type of the same name in numpy."""


class NotExecutable(ParityError):  # noqa: N818 (it is a state of the file, like "not run")
    """The program holds operations without reference semantics. Nothing was executed: verdict "not run".

    `operations` lists (kind, output name, reason) for each of them. The message names the first
    `NAMED_AT_MOST`, with their torch modules from `modules`, by output name.
    """

    def __init__(
        self,
        operations: tuple[tuple[str, str, str], ...],
        modules: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.operations = operations
        shown = [
            f"{kind}{_of(modules.get(name))} (output {name}): {reason}"
            for kind, name, reason in operations[:NAMED_AT_MOST]
        ]
        if more := len(operations) - len(shown):
            shown.append(f"and {more} more")
        super().__init__(
            f"not run, no reference semantics for {'; '.join(shown)}; run the file on macOS instead"
        )


def _of(module: str | None) -> str:
    return "" if module is None else f" of {module or 'the network'}"


def require_executable(program: Program) -> None:
    """Raise `NotExecutable`, listing them all, if any operation of `program` cannot be executed."""
    shapes = {value.name: value.shape for value in program.inputs}
    shapes |= {value.name: value.shape for step in program.operations for value in step.outputs}
    refused = tuple(
        (operation.kind, operation.name, reason)
        for operation in program.operations
        if (reason := _refusal(program, operation, shapes))
    )
    if refused:
        owners = {name: module_of(program, name) for _, name, _ in refused}
        raise NotExecutable(refused, {name: one for name, one in owners.items() if one is not None})


def _refusal(
    program: Program, operation: Operation, shapes: Mapping[str, tuple[int | None, ...]]
) -> str | None:
    function = SEMANTICS.get(operation.kind)
    if function is None:
        return "unknown operation"
    try:
        inspect.signature(function).bind(**operation.operands)
    except TypeError as error:
        return f"its parameters are not known here ({error})"
    refuse = REFUSALS.get(operation.kind)
    if refuse is None:
        return None
    single = {parameter: name for parameter, name in operation.operands.items() if isinstance(name, str)}
    constants = program.constants
    return refuse(
        {parameter: constants[name] for parameter, name in single.items() if name in constants},
        {parameter: shapes[name] for parameter, name in single.items() if name in shapes},
    )


def execute(
    program: Program,
    inputs: Mapping[str, Array],
    arithmetic: str,
    *,
    wanted: Collection[str] = (),
    given: Mapping[str, Array] = MappingProxyType({}),
) -> dict[str, Array]:
    """Run `program` on named arrays and return its named outputs, floats as float32.

    `arithmetic` is one of `ARITHMETICS`. NaN propagates as in any float arithmetic.
    `wanted` names values inside the program that are returned too. `given` replaces values inside it: every
    operation that reads one gets the caller's array.
    Raises `NotExecutable` before anything runs, `ParityError` for an operation that fails (named) and for
    inputs whose names or shapes are not those of the program.
    """
    if arithmetic not in ARITHMETICS:
        raise ValueError(f"arithmetic {arithmetic!r}, not one of {', '.join(ARITHMETICS)}")
    require_executable(program)
    values: dict[str, Any] = dict(program.constants)
    seen: dict[str, Array] = {}
    # Division by zero, overflow and NaN are results here; parity judges them.
    with np.errstate(all="ignore"):
        values |= _bind_inputs(program, inputs, arithmetic)
        for operation, dead in zip(program.operations, _last_uses(program), strict=True):
            results = _call(operation, values)
            for declared, result in zip(operation.outputs, results, strict=True):
                settled = _settle(operation, declared, result, arithmetic)
                if declared.name in wanted:
                    seen[declared.name] = np.array(settled)
                if declared.name in given:
                    settled = _settle(operation, declared, given[declared.name], arithmetic)
                values[declared.name] = settled
            for name in dead:
                del values[name]
    # A copy: an output may be a view of a constant or of the caller's own array.
    return seen | {name: np.array(values[name]) for name in program.outputs}


def _bind_inputs(program: Program, inputs: Mapping[str, Array], arithmetic: str) -> dict[str, Array]:
    names = [value.name for value in program.inputs]
    if sorted(names) != sorted(inputs):
        raise ParityError(f"inputs {', '.join(sorted(inputs))} given, the file takes {', '.join(names)}")
    bound = {}
    for declared in program.inputs:
        array = np.asarray(inputs[declared.name])
        if not _fits(array.shape, declared):
            raise ParityError(f"input {declared.name}: shape {array.shape}, the file takes {declared.shape}")
        bound[declared.name] = _as_declared(array, declared, arithmetic)
    return bound


def _last_uses(program: Program) -> list[tuple[str, ...]]:
    """For each operation, the computed values that nothing after it reads."""
    kept = {*program.outputs, *program.constants}
    dead: list[tuple[str, ...]] = []
    for operation in reversed(program.operations):
        names = {*operation.reads(), *(value.name for value in operation.outputs)} - kept
        dead.append(tuple(names))
        kept |= names
    return dead[::-1]


def _call(operation: Operation, values: Mapping[str, Any]) -> tuple[Array, ...]:
    def fetch(operand: Operand) -> Any:
        return values[operand] if isinstance(operand, str) else [values[name] for name in operand]

    operands = {parameter: fetch(operand) for parameter, operand in operation.operands.items()}
    try:
        result = SEMANTICS[operation.kind](**operands)
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError) as error:
        raise ParityError(f"{operation.kind} (output {operation.name}) failed: {error}") from error
    return tuple(result) if isinstance(result, (list, tuple)) else (result,)


def _settle(operation: Operation, declared: Value, result: Array, arithmetic: str) -> Array:
    """Check a result against its declaration and round it to the declared type."""
    array = np.asarray(result)
    if not _fits(array.shape, declared):
        raise ParityError(
            f"{operation.kind} (output {declared.name}) made shape {array.shape}, "
            f"the file declares {declared.shape}"
        )
    return _as_declared(array, declared, arithmetic)


def _fits(shape: tuple[int, ...], declared: Value) -> bool:
    return len(shape) == len(declared.shape) and all(
        want is None or have == want for have, want in zip(shape, declared.shape, strict=True)
    )


def _as_declared(array: Array, declared: Value, arithmetic: str) -> Array:
    if declared.dtype == "fp16" and arithmetic == "fp16":
        return array.astype(np.float16).astype(np.float32)
    return array.astype(_DTYPES.get(declared.dtype) or np.dtype(declared.dtype), copy=False)
