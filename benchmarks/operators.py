"""The operators a file consists of, in order, with the torch module each came from: read without running it.

    .tflite   the flatbuffer's tables; litert_torch writes module paths into tensor names
    .onnx     the graph's nodes; torch.onnx writes module paths into the nodes' metadata
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mocovit_deploy.errors import UsageError, needs_extra

MOVEMENT = ("TRANSPOSE", "RESHAPE", "Transpose", "Reshape")
"""Operators that compute nothing: what a converter adds when layouts do not fit."""

ROOT = "(root)"
"""Where an operator is that the network's own forward calls, outside any submodule."""

_TFLITE_IDENTIFIER = b"TFL3"


@dataclass(frozen=True)
class Operator:
    """One operator of a file."""

    index: int
    kind: str
    """The format's own word for it: "CONV_2D" in TFLite, "Conv" in ONNX."""
    where: str
    """The torch module it came from, as in "stages.0.conv"; the file's own name where that is unknown."""
    dtype: str = ""
    """Of its first output; empty where the file does not tell."""
    name: str = ""
    """The file's own name for it; empty where it has none."""
    output: str = ""
    """The name of its first output."""


def read_operators(path: Path, file_format: str) -> tuple[Operator, ...]:
    """The operators of the file's main graph; an empty tuple for a format that has no list here.

    Raises `UsageError` for a file that is not of its format, `MissingToolError` where the package that reads
    it is not installed.
    """
    if file_format == "tflite":
        return _read_tflite(path)
    if file_format == "onnx":
        return _read_onnx(path)
    return ()


def by_kind(operators: Iterable[Operator]) -> dict[str, int]:
    """How many operators of each kind, most frequent first, then by name."""
    counts = Counter(operator.kind for operator in operators)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class TensorNames:
    """Names of a .tflite's inputs and outputs as its first signature calls them, in two orders.

    Tensors that no signature names keep the names the file gives them.
    """

    signature_inputs: tuple[str, ...]
    signature_outputs: tuple[str, ...]
    subgraph_inputs: tuple[str, ...]
    subgraph_outputs: tuple[str, ...]


def tensor_names(path: Path) -> TensorNames:
    """Read the names of a .tflite's inputs and outputs. Raises like `read_operators`."""
    names: TensorNames = _guarded(path, _tensor_names)
    return names


def _read_tflite(path: Path) -> tuple[Operator, ...]:
    return _guarded(path, _tflite_operators)


def _guarded(path: Path, read: Any) -> Any:
    """Call `read` on the file's root table; what a damaged flatbuffer raises becomes a `UsageError`."""
    schema = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
    data = _bytes(path)
    if data[4:8] != _TFLITE_IDENTIFIER:
        raise UsageError(f"{path}: not a TFLite file (its bytes 4 to 7 are not 'TFL3')")
    try:
        return read(schema.Model.GetRootAs(data, 0), schema)
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise UsageError(f"{path}: damaged TFLite file ({error}); export again") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None


def _tflite_operators(model: Any, schema: Any) -> tuple[Operator, ...]:
    graph = model.Subgraphs(0)
    found = []
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        output = graph.Tensors(operator.Outputs(0)) if operator.OutputsLength() else None
        found.append(
            Operator(
                index=index,
                kind=_tflite_kind(model.OperatorCodes(operator.OpcodeIndex()), schema),
                where=module_path(_text(output.Name())) if output else "",
                dtype=_names_of(schema.TensorType).get(output.Type(), "").lower() if output else "",
                output=_text(output.Name()) if output else "",
            )
        )
    return tuple(found)


def _tflite_kind(code: Any, schema: Any) -> str:
    # Old files hold the number in a byte that ends at 127; new ones in both fields.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    if number == schema.BuiltinOperator.CUSTOM:
        return f"CUSTOM {_text(code.CustomCode())}"
    return _names_of(schema.BuiltinOperator).get(number, f"BUILTIN {number}")


@cache
def _names_of(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _tensor_names(model: Any, schema: Any) -> TensorNames:
    del schema
    graph = model.Subgraphs(0)
    inputs = [graph.Inputs(n) for n in range(graph.InputsLength())]
    outputs = [graph.Outputs(n) for n in range(graph.OutputsLength())]
    called: dict[int, str] = {}
    signature_inputs, signature_outputs = inputs, outputs
    if model.SignatureDefsLength():
        signature = model.SignatureDefs(0)
        entries_in = [signature.Inputs(n) for n in range(signature.InputsLength())]
        entries_out = [signature.Outputs(n) for n in range(signature.OutputsLength())]
        called = {entry.TensorIndex(): _text(entry.Name()) for entry in (*entries_in, *entries_out)}
        signature_inputs = [entry.TensorIndex() for entry in entries_in]
        signature_outputs = [entry.TensorIndex() for entry in entries_out]

    def names(tensors: list[int]) -> tuple[str, ...]:
        return tuple(called.get(tensor) or _text(graph.Tensors(tensor).Name()) for tensor in tensors)

    return TensorNames(names(signature_inputs), names(signature_outputs), names(inputs), names(outputs))


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", errors="replace")


def module_path(tensor_name: str) -> str:
    """The torch module in a tensor name of litert_torch, or the name itself.

        a.Wrapper/net.Net_wrapped/torch.nn.Sequential_stages/torch.nn.Conv2d_0;1   ->   stages.0

    Each segment is the class of a module, then `_` and its attribute name. A name that several operators
    were fused into lists their paths between double semicolons; the last is the operator that computes.
    """
    path = tensor_name.split(";;")[-1]
    path, _, number = path.rpartition(";")
    if not path or not number.isdigit():
        return tensor_name
    found = [re.fullmatch(r"(?:[\w<>]+\.)*[A-Za-z0-9]+(?:_(\w+))?", part) for part in path.split("/")]
    if not all(found):
        return tensor_name
    names = [match[1] for match in found if match and match[1] and match[1] != "wrapped"]
    return ".".join(names) or ROOT


def _read_onnx(path: Path) -> tuple[Operator, ...]:
    onnx = needs_extra("onnx", "onnx")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # noqa: BLE001 - protobuf has no one error for "not a message"
        raise UsageError(f"{path}: not an ONNX file ({type(error).__name__})") from None
    if not model.graph.node:
        raise UsageError(f"{path}: not an ONNX file (it holds no graph)")
    return tuple(
        Operator(
            index=index,
            kind=node.op_type,
            where=_onnx_module(node),
            name=node.name,
            output=node.output[0] if node.output else "",
        )
        for index, node in enumerate(model.graph.node)
    )


def _onnx_module(node: Any) -> str:
    """The innermost module of the scope that torch.onnx wrote beside the node, or the node's name."""
    metadata = {entry.key: entry.value for entry in node.metadata_props}
    scopes = re.findall(r"'([^']*)'", metadata.get("pkg.torch.onnx.name_scopes", ""))
    if not scopes:
        return str(node.name)
    # The scopes run from the root, which is empty, to the ATen node itself, which is no module.
    modules = [scope for scope in scopes[:-1] if scope]
    return modules[-1] if modules else ROOT
