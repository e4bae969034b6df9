"""The operators a file consists of, in order, with the torch module each came from: read without running it.

.tflite   litert_torch writes module paths into tensor names
.onnx     torch.onnx writes module paths into the nodes' metadata
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.operators.tflite import ROOT, module_path, read_file_operators
from mocovit_deploy.errors import UsageError
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.terminal.printable import printable


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
    half_weights: bool = False
    """Whether it reads constants that the file holds in half precision (TFLite)."""


def read_operators(path: Path, file_format: str) -> tuple[Operator, ...]:
    """The operators of the file's main graph; an empty tuple for a format that has no list here.

    Raises `UsageError` for a file that is not of its format, `MissingToolError` where the package that reads
    it is not installed.
    """
    if file_format == "tflite":
        return tuple(
            Operator(
                index=index,
                kind=op.kind,
                where=module_path(op.output, op.kind),
                dtype=op.dtype,
                output=op.output,
                half_weights=op.half_weights,
            )
            for index, op in enumerate(read_file_operators(path))
        )
    if file_format == "onnx":
        return _read_onnx(path)
    return ()


def by_kind(operators: Iterable[Operator]) -> dict[str, int]:
    """How many operators of each kind, most frequent first, then by name."""
    counts = Counter(operator.kind for operator in operators)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


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
            kind=_text(node.op_type),
            where=_onnx_module(node),
            name=_text(node.name),
            output=_text(node.output[0]) if node.output else "",
        )
        for index, node in enumerate(model.graph.node)
    )


def _text(value: str | bytes) -> str:
    """A string of the file, fit for a terminal; protobuf gives bytes where it is not UTF-8."""
    return printable(value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value)


def _onnx_module(node: Any) -> str:
    """The module written beside the node: by our exporter under "module", by torch.onnx as the innermost of
    its scopes; the node's name where there is neither."""
    metadata = {_text(entry.key): _text(entry.value) for entry in node.metadata_props}
    if "module" in metadata:
        return metadata["module"] or ROOT
    scopes = re.findall(r"'([^']*)'", metadata.get("pkg.torch.onnx.name_scopes", ""))
    if not scopes:
        return _text(node.name)
    # The scopes run from the root, which is empty, to the ATen node itself, which is no module.
    modules = [scope for scope in scopes[:-1] if scope]
    return modules[-1] if modules else ROOT
