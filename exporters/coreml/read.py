"""From a saved `.mlpackage` to a `Program`, through coremltools' reader of MIL.

coremltools predicts on macOS only, but its front end "milproto" turns the protocol buffer of the file and its
weights back into a MIL program on any system. So parity judges the file on disk, not the converter's objects
in memory. Works without torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from exporters.coreml.classifier import without_head
from exporters.coreml.package import require_contained
from exporters.coreml.program import Constant, Operand, Operation, Program, Value
from exporters.coreml.toolchain import coremltools, quiet_coremltools
from mocovit_deploy.errors import UsageError

WHOLE = ("constexpr_affine_dequantize", "constexpr_blockwise_shift_scale")
"""The operations that unpack weights in whole numbers; others look numbers up, or store them sparsely."""


def read_program(path: Path) -> Program:
    """Read the program of an `.mlpackage`, weights included.

    Raises `UsageError` when the folder is not a readable ML program with one function, `MissingToolError`
    when coremltools is not installed.
    """
    return read_programs(path)[0]


def read_programs(path: Path) -> tuple[Program, ...]:
    """Read the program of an `.mlpackage`, or those of its pipeline in order, weights included.

    Models of a pipeline that are no programs are left out. Raises the errors of `read_program`.
    """
    ct = coremltools()
    if not path.is_dir():
        raise UsageError(f"{path}: no such .mlpackage folder")
    try:
        require_contained(path)
        with quiet_coremltools():
            found = _main_functions(ct, path)
    # A damaged file makes coremltools, protobuf or the blob reader fail with any kind of error.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UsageError(f"{path}: not a Core ML program this version reads ({reason})") from error
    return tuple(_transcribe(function, metadata) for function, metadata in found)


def _main_functions(ct: Any, path: Path) -> list[tuple[Any, dict[str, str]]]:
    model = ct.models.MLModel(str(path), skip_model_load=True)
    spec = model.get_spec()
    if spec.WhichOneof("Type") != "pipeline":
        return [_main_function(spec, model.weights_dir)]
    programs = [one for one in spec.pipeline.models if one.WhichOneof("Type") == "mlProgram"]
    return [_main_function(one, model.weights_dir) for one in programs]


def _main_function(spec: Any, weights_dir: str) -> tuple[Any, dict[str, str]]:
    from coremltools.converters.mil.frontend.milproto import load as milproto

    without_head(spec)
    program = milproto.load(spec, spec.specificationVersion, weights_dir)
    if list(program.functions) != ["main"]:
        raise ValueError(f"functions {', '.join(program.functions)}; only a single 'main' is read")
    return program.functions["main"], dict(spec.description.metadata.userDefined)


def _transcribe(function: Any, metadata: dict[str, str]) -> Program:
    constants: dict[str, Constant] = {}
    operations: list[Operation] = []
    whole: set[str] = set()
    defined = set(function.inputs)
    for operation in function.operations:
        names = [variable.name for variable in operation.outputs]
        if clash := defined.intersection(names):
            raise UsageError(f"a Core ML program defines {sorted(clash)[0]!r} twice; it is damaged")
        defined.update(names)
        if operation.op_type == "const":
            constants[names[0]] = _constant(operation.outputs[0].val)
        elif operation.op_type.startswith("constexpr_"):
            # Compressed weights: coremltools defines how each kind unpacks.
            constants[names[0]] = _constant(operation.materialized_val_inference())
            whole |= {names[0]} if operation.op_type in WHOLE else set()
        else:
            operations.append(_operation(operation))
    return Program(
        inputs=tuple(_value(variable) for variable in function.inputs.values()),
        outputs=tuple(variable.name for variable in function.outputs),
        operations=tuple(operations),
        constants=constants,
        metadata=metadata,
        whole=frozenset(whole),
    )


def _operation(operation: Any) -> Operation:
    operands: dict[str, Operand] = {}
    for parameter, variable in operation.inputs.items():
        if isinstance(variable, (list, tuple)):
            operands[parameter] = tuple(each.name for each in variable)
        elif variable is not None:
            operands[parameter] = variable.name
    return Operation(operation.op_type, operands, tuple(_value(each) for each in operation.outputs))


def _value(variable: Any) -> Value:
    from coremltools.converters.mil.mil import types

    # A symbol (a dimension left open) is not an integer, neither Python's nor numpy's.
    shape = tuple(int(n) if isinstance(n, (int, np.integer)) else None for n in variable.shape or ())
    return Value(variable.name, types.builtin_to_string(variable.dtype), shape)


def _constant(value: Any) -> Constant:
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return array.astype(np.float32)
    if array.ndim == 0 and array.dtype.kind in "biu":
        return bool(array) if array.dtype.kind == "b" else int(array)
    return array
