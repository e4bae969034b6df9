"""Write small flatbuffers table by table, for the metadata in a TFLite file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mocovit_deploy.extras import needs_extra

BLOCK_BYTES = 16
"""Vectors of bytes begin at a multiple of this (`force_align` in the schema)."""


@dataclass(frozen=True)
class Table:
    """A flatbuffer table.

    A field is a table, a string, bytes, a list of tables, of floats or of whole numbers, a number of one byte
    (an int), an `Int32` or a `Float32`.
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
    plain = (int, Int32, Float32)
    placed = {
        slot: value if isinstance(value, plain) else _reference(builder, value)
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
    if isinstance(value, Table):
        return _place(builder, value)
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        builder.StartVector(1, len(value), BLOCK_BYTES)
        for one in reversed(value):
            builder.PrependByte(one)
        return int(builder.EndVector())
    if all(isinstance(one, float) for one in value):
        builder.StartVector(4, len(value), 4)
        for one in reversed(value):
            builder.PrependFloat32(one)
        return int(builder.EndVector())
    if all(isinstance(one, int) for one in value):
        builder.StartVector(4, len(value), 4)
        for one in reversed(value):
            builder.PrependUint32(one)
        return int(builder.EndVector())
    members = [_place(builder, one) for one in value]
    builder.StartVector(4, len(members), 4)
    for member in reversed(members):
        builder.PrependUOffsetTRelative(member)
    return int(builder.EndVector())
