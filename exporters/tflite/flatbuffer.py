"""Read a TFLite file's tables, change them, write them again: the one place that writes flatbuffers.

ai-edge-quantizer keeps weights outside the tables (`Buffer.offset`, `Buffer.size`), where packing the tables
again would silently drop them and the 1.4.0 runtime does not look. `read` brings every such buffer inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.extras import needs_extra

IDENTIFIER = b"TFL3"
INSIDE = 1
"""`Buffer.offset` of 0 or 1 means that the bytes, if any, are in the tables (schema.fbs of LiteRT)."""


def read(data: bytes) -> Any:
    """The tables of a TFLite file as `ModelT`, every buffer inside; `ConversionError` for any other file."""
    schema = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
    if data[4:8] != IDENTIFIER:
        raise ConversionError("not a TFLite file")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for number, buffer in enumerate(model.buffers):
        if buffer.offset <= INSIDE:
            continue
        if buffer.offset + buffer.size > len(data):
            raise ConversionError(f"buffer {number} lies outside the file")
        buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    return model


def write(model: Any) -> bytes:
    """The file of these tables."""
    flatbuffers = needs_extra("flatbuffers", "tflite")
    size = sum(len(buffer.data) for buffer in model.buffers if buffer.data is not None)
    builder = flatbuffers.Builder(size + (1 << 16))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def set_metadata(model: Any, name: str, value: bytes) -> None:
    """Add the entry `name` to the file's metadata, or replace it."""
    schema = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
    model.metadata = [entry for entry in model.metadata or [] if _name(entry) != name]
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(value, np.uint8)
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata.append(entry)


def metadata(model: Any, name: str) -> bytes | None:
    """The value of the metadata entry `name`, or None."""
    for entry in model.metadata or []:
        if _name(entry) == name:
            return bytes(model.buffers[entry.buffer].data)
    return None


def _name(entry: Any) -> str:
    return entry.name.decode() if isinstance(entry.name, bytes) else str(entry.name)
