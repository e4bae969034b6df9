"""The description in an ONNX file: its `metadata_props`, strings by key. Each node has its own beside these.

model, weights, recipe, author, licence, version   as given
labels           the names of the classes, as a JSON list
preprocessing    scale, mean, std and colour order, as JSON
mocovit_deploy   the whole description, as JSON (mocovit_deploy/ship/metadata.py)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.files import write_atomically
from mocovit_deploy.ship.metadata import FileMetadata
from mocovit_deploy.spec import TensorSpec

MODULE_KEY = "module"
"""Each node's `metadata_props` entry that names the torch module it came from."""
OPERATION_KEY = "operation"
"""The node's entry that names the operation of the re-parameterized graph."""


def set_properties(model: Any, metadata: FileMetadata) -> None:
    """Replace the properties of a ModelProto."""
    needs_extra("onnx", "onnx").helper.set_model_props(model, metadata.strings())


def describe(
    path: Path, metadata: FileMetadata, _inputs: Sequence[TensorSpec], _outputs: Sequence[TensorSpec]
) -> None:
    """Replace the description in the file at `path` by `metadata`.

    Raises `ConversionError` if the graph of the file would change.
    """
    onnx = needs_extra("onnx", "onnx")
    model = onnx.load(str(path))
    before = model.graph.SerializeToString(deterministic=True)
    set_properties(model, metadata)
    data = model.SerializeToString(deterministic=True)
    if onnx.load_from_string(data).graph.SerializeToString(deterministic=True) != before:
        raise ConversionError(f"{path.name}: its graph would change with its description")
    write_atomically(path, data)
