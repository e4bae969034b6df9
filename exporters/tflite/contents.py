"""The operators, inputs and outputs of a TFLite file, read without running it.

Uses the schema bindings that ai-edge-litert ships. Weights are never touched.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.marks import marks_in, split_mark
from mocovit_deploy.artifacts.operator import ROOT_MODULE, FileOperator
from mocovit_deploy.errors import UsageError
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.terminal.printable import printable

_IDENTIFIER = b"TFL3"
_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Quantization:
    """real = (stored - zero_point) * scale, one scale and one zero point for the whole tensor."""

    scale: float
    zero_point: int


@dataclass(frozen=True)
class FileTensor:
    """One input or output. Its name is that of the signature, or the tensor's if there is no signature."""

    name: str
    dtype: str
    quantization: Quantization | None


@dataclass(frozen=True)
class Interface:
    """A file's inputs and outputs in the order of its subgraph, which runtimes follow.

    A signature names the same tensors, but may list them in another order: litert-torch sorts by name.
    """

    inputs: tuple[FileTensor, ...]
    outputs: tuple[FileTensor, ...]


def read_interface(path: Path) -> Interface:
    """The inputs and outputs of a file.

    Raises `UsageError` for a file that is not TFLite, `MissingToolError` without ai-edge-litert.
    """
    return _guarded(path, _interface)


def operators(artifact: Artifact) -> tuple[FileOperator, ...]:
    """The operators of the main subgraph, in order of execution; raises like `read_interface`."""
    return _guarded(artifact.path, _operators)


def _guarded(path: Path, read: Callable[[Any, Any], _Read]) -> _Read:
    """`read(root table, schema)` of the file; errors of a damaged flatbuffer become a `UsageError`."""
    schema = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    if data[4:8] != _IDENTIFIER:
        raise UsageError(f"{path}: not a TFLite file (its bytes 4 to 7 are not 'TFL3')")
    try:
        return read(schema.Model.GetRootAs(data, 0), schema)
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, KeyError) as error:
        what = f"its tables lead out of its {len(data):,} bytes" if isinstance(error, struct.error) else error
        raise UsageError(f"{path}: damaged TFLite file ({what}); export again") from None


def _operators(model: Any, schema: Any) -> tuple[FileOperator, ...]:
    graph = model.Subgraphs(0)
    found = []
    widened: set[int] = set()
    counted: set[int] = {0}  # the first buffer is empty: all computed tensors share it
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        inputs = [operator.Inputs(n) for n in range(operator.InputsLength())]
        output = graph.Tensors(operator.Outputs(0)) if operator.OutputsLength() else None
        kind = _kind(model.OperatorCodes(operator.OpcodeIndex()), schema)
        if output is None:
            found.append(FileOperator(index, kind, ""))
            continue
        if kind == "DEQUANTIZE" and _dtype(graph.Tensors(inputs[0]), schema) == "float16":
            widened.add(operator.Outputs(0))
        half = operator.Outputs(0) in widened or not widened.isdisjoint(inputs)
        name = _text(output.Name())
        buffers = {graph.Tensors(n).Buffer() for n in inputs if n >= 0} - counted
        counted |= buffers
        found.append(
            FileOperator(
                index=index,
                kind=kind,
                where=module_of_output(name, kind),
                dtype=_dtype(output, schema),
                output=name,
                half_weights=half,
                weight_bytes=sum(model.Buffers(n).DataLength() for n in buffers),
            )
        )
    return tuple(found)


def _kind(code: Any, schema: Any) -> str:
    # Old files hold the number in a field of one byte, up to 127; new ones hold it in both fields.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == schema.BuiltinOperator.CUSTOM:
        return f"CUSTOM {_text(code.CustomCode())}"
    return _names_of(schema.BuiltinOperator).get(number, f"BUILTIN {number}")


def _interface(model: Any, schema: Any) -> Interface:
    graph = model.Subgraphs(0)
    inputs = [graph.Inputs(n) for n in range(graph.InputsLength())]
    outputs = [graph.Outputs(n) for n in range(graph.OutputsLength())]
    called: dict[int, str] = {}
    if model.SignatureDefsLength():
        signature = model.SignatureDefs(0)
        taken = [signature.Inputs(n) for n in range(signature.InputsLength())]
        given = [signature.Outputs(n) for n in range(signature.OutputsLength())]
        called = {entry.TensorIndex(): _text(entry.Name()) for entry in (*taken, *given)}

    def described(indices: list[int]) -> tuple[FileTensor, ...]:
        tensors = [(index, graph.Tensors(index)) for index in indices]
        return tuple(
            FileTensor(
                called.get(index) or _text(tensor.Name()), _dtype(tensor, schema), _quantization(tensor)
            )
            for index, tensor in tensors
        )

    return Interface(described(inputs), described(outputs))


def _quantization(tensor: Any) -> Quantization | None:
    parameters = tensor.Quantization()
    if parameters is None or parameters.ScaleLength() != 1:
        return None
    zero_point = int(parameters.ZeroPoint(0)) if parameters.ZeroPointLength() else 0
    return Quantization(float(parameters.Scale(0)), zero_point)


def _dtype(tensor: Any, schema: Any) -> str:
    return _names_of(schema.TensorType).get(tensor.Type(), "").lower()


@cache
def _names_of(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _text(raw: bytes | None) -> str:
    """A name in the file, made safe to print on a terminal; names that this project writes do not change."""
    return printable((raw or b"").decode("utf-8", errors="replace"))


_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def module_of_output(tensor_name: str, kind: str) -> str:
    """The torch module in the name of an operator's output, or the name itself.

    mocovit-export writes marks. Other files of litert-torch hold the classes of modules:

        stem.2:relu;;stem.0:conv2d;1                            of a CONV_2D              ->   stem.0
        a.Net/torch.nn.Sequential_stages/torch.nn.Conv2d_0;1                              ->   stages.0
        a.Net/torch.nn.ReLU_act;;a.Net/torch.nn.Conv2d_conv;1   of a CONV_2D              ->   conv
        a.Net/a.Block_1;;a.Net/a.Block_1/torch.nn.Conv2d_conv;  of an ADD                 ->   1

    Each segment is the class of a module, then `_` and its attribute name. Each path ends in a semicolon and
    perhaps a number. Several paths belong to several operations in one operator. The last is the module of an
    operator with weights, after those of fused activations; the first is the module of any other, before the
    owners of constants that it reads.
    """
    place = -1 if kind in _WEIGHTED else 0
    if marks := marks_in(tensor_name):
        return split_mark(marks[place])[0] or ROOT_MODULE
    paths = re.findall(r"([^;]+);[0-9]*(?:;|$)", tensor_name)
    if not paths:
        return tensor_name
    parts = paths[place].split("/")
    found = [re.fullmatch(r"(?:[\w<>]+\.)*[A-Za-z0-9]+(?:_(\w+))?", part) for part in parts]
    if not all(found):
        return tensor_name
    names = [match[1] for match in found if match and match[1] and match[1] != "wrapped"]
    return ".".join(names) or ROOT_MODULE
