"""The operators of an ONNX file, read without running it. Works without torch and without a runtime.

Both torch.onnx and this package write module paths into the nodes' metadata.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.operator import ROOT_MODULE, FileOperator
from mocovit_deploy.errors import UsageError
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.terminal.printable import printable

if TYPE_CHECKING:
    from onnx import NodeProto


def operators(artifact: Artifact) -> tuple[FileOperator, ...]:
    """The nodes of the main graph, in order.

    Raises `UsageError` for a file that is not ONNX, `MissingToolError` without the package onnx.
    """
    path = artifact.path
    onnx = needs_extra("onnx", "onnx")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # noqa: BLE001 - protobuf has no one error for "not a message"
        raise UsageError(f"{path}: not an ONNX file ({type(error).__name__})") from None
    if not model.graph.node:
        raise UsageError(f"{path}: not an ONNX file (it holds no graph)")
    bytes_of = {one.name: one.ByteSize() for one in model.graph.initializer}
    return tuple(
        FileOperator(
            index=index,
            kind=_text(node.op_type),
            where=_onnx_module(node),
            name=_text(node.name),
            output=_text(node.output[0]) if node.output else "",
            weight_bytes=sum(bytes_of.pop(name, 0) for name in node.input),
            constant=node.op_type == "Constant",
        )
        for index, node in enumerate(model.graph.node)
    )


def _text(value: str | bytes) -> str:
    """A string of the file, fit for a terminal; protobuf gives bytes where it is not UTF-8."""
    return printable(value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value)


def _onnx_module(node: NodeProto) -> str:
    """The torch module in the node's metadata: our exporter writes it under "module", torch.onnx as the
    innermost of its scopes. The node's name if there is neither."""
    metadata = {_text(entry.key): _text(entry.value) for entry in node.metadata_props}
    if "module" in metadata:
        return metadata["module"] or ROOT_MODULE
    scopes = re.findall(r"'([^']*)'", metadata.get("pkg.torch.onnx.name_scopes", ""))
    if not scopes:
        return _text(node.name)
    # The scopes run from the root, which is empty, to the ATen node itself, which is no module.
    modules = [scope for scope in scopes[:-1] if scope]
    return modules[-1] if modules else ROOT_MODULE
