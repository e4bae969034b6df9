"""Write small flatbuffers table by table, for the metadata in a TFLite file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mocovit_deploy.extras import needs_extra

BLOCK_BYTES = 16
"""Vectors of bytes begin at a multiple of this (`force_align` in the schema)."""


@dataclass(frozen=True)
class Table:
    """A flatbuffer table.

    A field is a table, a string, bytes, a list of tables, of floats or of unsigned whole numbers, a number of
    one byte (an int), an `Int32` or a `Float32`.
    """

    slots: int
    """The number of slots that the schema gives this table."""
    fields: Mapping[int, Any]
    """By slot."""


@dataclass(frozen=True)
class Int32:
    """A whole number of four bytes."""

    value: int


@dataclass(frozen=True)
class Float32:
    """A float of four bytes."""

    value: float


def packed(root: Table, identifier: bytes) -> bytes:
    """The flatbuffer with `root` as its root table, and a file identifier of four bytes."""
    builder = needs_extra("flatbuffers", "tflite").Builder(1024)
    builder.Finish(_place(builder, root), identifier)
    return bytes(builder.Output())


def _place(builder: Any, table: Table) -> int:
    """Write a table and return its offset. Its parts come first: flatbuffers are built from the end."""
    placed = {
        slot: value if isinstance(value, int | Int32 | Float32) else _reference(builder, value)
        for slot, value in table.fields.items()
    }
    builder.StartObject(table.slots)
    for slot, value in placed.items():
        if isinstance(value, Int32):
            builder.PrependInt32Slot(slot, value.value, 0)
        elif isinstance(value, Float32):
            builder.PrependFloat32Slot(slot, value.value, 0.0)
        elif isinstance(table.fields[slot], int):
            builder.PrependUint8Slot(slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return int(builder.EndObject())


def _reference(builder: Any, value: Table | str | bytes | list[Any]) -> int:
    """Write a part of a table that is not a number, and return its offset."""
    if isinstance(value, Table):
        return _place(builder, value)
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        return _vector(builder, value, builder.PrependByte, size_bytes=1, alignment=BLOCK_BYTES)
    if all(isinstance(one, float) for one in value):
        return _vector(builder, value, builder.PrependFloat32)
    if all(isinstance(one, int) for one in value):
        return _vector(builder, value, builder.PrependUint32)
    return _vector(builder, [_place(builder, one) for one in value], builder.PrependUOffsetTRelative)


def _vector(
    builder: Any,
    members: Sequence[Any],
    prepend: Callable[[Any], None],
    size_bytes: int = 4,
    alignment: int = 4,
) -> int:
    """Write members of `size_bytes` each, the last one first, and return the vector's offset."""
    builder.StartVector(size_bytes, len(members), alignment)
    for one in reversed(members):
        prepend(one)
    return int(builder.EndVector())
