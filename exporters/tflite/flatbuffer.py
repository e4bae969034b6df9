"""Reading and writing the tables of a TFLite file.

ai-edge-quantizer keeps weights outside the tables (`Buffer.offset`, `Buffer.size`). Packing the tables again
would silently drop them, and the 1.4.0 runtime does not read them. `read_model` brings every such buffer
inside.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.extras import needs_extra

IDENTIFIER = b"TFL3"
ALIGNMENT = 16
"""The alignment of buffers in a file, in bytes (`force_align` in schema.fbs): runtimes read them in place."""
INSIDE = 1
"""`Buffer.offset` of 0 or 1 means that the bytes, if any, are in the tables (schema.fbs of LiteRT)."""


def read_model(data: bytes) -> Any:
    """The tables of a TFLite file as `ModelT`, with every buffer inside.

    Raises `ConversionError` for a file that is not TFLite, and for a buffer outside the file.
    """
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


def buffers(data: bytes) -> dict[int, memoryview]:
    """The bytes of a file's buffers by number, without those of its metadata. Unpacks no table."""
    schema = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
    model, view = schema.Model.GetRootAs(data, 0), memoryview(data)
    described = {model.Metadata(number).Buffer() for number in range(model.MetadataLength())}
    found = {}
    for number in set(range(model.BuffersLength())) - described:
        buffer = model.Buffers(number)
        begin, size = buffer.Offset(), buffer.Size()
        outside = begin > INSIDE
        held = buffer.DataAsNumpy() if not outside and buffer.DataLength() else b""
        found[number] = view[begin : begin + size] if outside else memoryview(held)
    return found


def model_bytes(model: Any) -> bytes:
    """The bytes of a file with these tables (`ModelT`)."""
    flatbuffers = needs_extra("flatbuffers", "tflite")
    held = [buffer.data for buffer in model.buffers]
    size = sum(len(data) + ALIGNMENT for data in held if data is not None)
    builder = flatbuffers.Builder(size + (1 << 16))
    packed = copy.copy(model)
    packed.buffers = [_Aligned(data) for data in held]
    builder.Finish(packed.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


class _Aligned:
    """A buffer that packs itself aligned, as the schema demands and the bindings' own `Pack` does not."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - the bindings' word
        schema = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
        vector = None
        if self.data is not None:
            data = bytes(self.data)
            builder.StartVector(1, len(data), ALIGNMENT)
            builder.head -= len(data)
            builder.Bytes[builder.head : builder.head + len(data)] = data
            vector = builder.EndVector()
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


def set_metadata(model: Any, name: str, value: bytes) -> None:
    """Add the entry `name` to the file's metadata, or replace it."""
    schema = needs_extra("ai_edge_litert.schema_py_generated", "tflite")
    for entry in model.metadata or []:
        if _name(entry) == name:
            model.buffers[entry.buffer].data = np.frombuffer(value, np.uint8)
            return
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(value, np.uint8)
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]


def metadata(model: Any, name: str) -> bytes | None:
    """The value of the metadata entry `name`, or None."""
    for entry in model.metadata or []:
        if _name(entry) == name:
            return bytes(model.buffers[entry.buffer].data)
    return None


def _name(entry: Any) -> str:
    return entry.name.decode() if isinstance(entry.name, bytes) else str(entry.name)


def codes_of(model: Any, *kinds: str) -> set[int]:
    """The indices of operator codes of these kinds."""
    builtin = needs_extra("ai_edge_litert.schema_py_generated", "tflite").BuiltinOperator
    wanted = {getattr(builtin, kind) for kind in kinds}
    return {
        index
        for index, code in enumerate(model.operatorCodes)
        if max(code.builtinCode, code.deprecatedBuiltinCode) in wanted
    }
