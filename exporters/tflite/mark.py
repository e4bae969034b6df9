"""The place of a metadata value in the bytes of a TFLite file, found without the schema's package.

Parity runs a file in the installed runtime, and tflite-runtime comes without the generated schema. A
FlatBuffers table begins with the distance back to its list of field offsets. A field that refers to a table,
a vector or a string holds the distance ahead to it (flatbuffers.dev, "Internals").
"""

from __future__ import annotations

import struct

BUFFERS, METADATA = 12, 16
"""Fields of `Model` in tflite's schema.fbs, as byte offsets in its list of fields."""
NAME, BUFFER = 4, 6
"""Fields of `Metadata`, likewise."""
DATA = 4
"""A field of `Buffer`, likewise."""


def place_of(data: bytes, name: str) -> slice | None:
    """The place of the metadata value `name`; None if the file has no such value, or is not TFLite."""
    try:
        model = _ahead(data, 0)
        for entry in _tables(data, model, METADATA):
            text, number = _field(data, entry, NAME), _field(data, entry, BUFFER)
            if text is None or data[_items(data, text)] != name.encode():
                continue
            buffer = _tables(data, model, BUFFERS)[0 if number is None else _number(data, number)]
            value = _field(data, buffer, DATA)
            return None if value is None else _items(data, value)
    except (struct.error, IndexError):
        pass  # not a TFLite file, or a damaged one: the runtime says so
    return None


def _number(data: bytes, place: int) -> int:
    number: int = struct.unpack_from("<I", data, place)[0]
    return number


def _ahead(data: bytes, place: int) -> int:
    return place + _number(data, place)


def _field(data: bytes, table: int, field: int) -> int | None:
    """The offset of a field of a table; None if the table lacks it."""
    (back,) = struct.unpack_from("<i", data, table)
    listed = table - back
    (size,) = struct.unpack_from("<H", data, listed)
    if field >= size:
        return None
    (distance,) = struct.unpack_from("<H", data, listed + field)
    return table + distance if distance else None


def _items(data: bytes, field: int) -> slice:
    """The place of the string, or of the vector of bytes, that a field refers to."""
    vector = _ahead(data, field)
    return slice(vector + 4, vector + 4 + _number(data, vector))


def _tables(data: bytes, table: int, field: int) -> list[int]:
    place = _field(data, table, field)
    if place is None:
        return []
    vector = _ahead(data, place)
    count = _number(data, vector)
    if count > len(data) // 4:
        raise IndexError(f"{count} tables in {len(data)} bytes")
    return [_ahead(data, vector + 4 * (1 + index)) for index in range(count)]
