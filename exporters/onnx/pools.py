"""Poolings that ONNX Runtime cannot load: behind a Pad as wide as their window.

    before   Pad 2 - MaxPool of 2        valid ONNX
    in ORT   MaxPool of 2, padded by 2   its Pad_Fusion makes this, and its MaxPool refuses it

Seen with onnxruntime 1.31.1, which names no node when it refuses.
"""

from __future__ import annotations

from typing import Any

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.extras import needs_extra


def refuse_pools_after_wide_pads(model: Any, module_key: str) -> None:
    """Raise `ConversionError` for such a pooling; it names the module, a node's metadata `module_key`."""
    onnx = needs_extra("onnx", "onnx")
    pads = {node.output[0]: node for node in model.graph.node if node.op_type == "Pad"}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        pad = pads.get(node.input[0]) if node.op_type in ("MaxPool", "AveragePool") else None
        if pad is None or pad.input[1] not in constants or len(pad.input) > 3:
            continue  # nothing padded, or by what only the session knows, or along named axes
        window = next(list(one.ints) for one in node.attribute if one.name == "kernel_shape")
        widths = onnx.numpy_helper.to_array(constants[pad.input[1]]).reshape(2, -1)[:, -len(window) :]
        if (widths >= window).any():
            module = next((entry.value for entry in node.metadata_props if entry.key == module_key), "")
            raise ConversionError(
                f"{module or 'the network'} ({node.op_type}): ONNX Runtime refuses a pooling of {window} "
                f"behind a padding of {widths.max()}; pad by less than the window"
            )
