"""Damage to a file, drawn from a seeded generator. Every function takes bytes and gives bytes.

Blind damage finds what checks nothing; `members` goes into zip archives and `text` into JSON and TOML, so
that what is behind the first check is reached too.
"""

from __future__ import annotations

import io
import random
import re
import struct
import zipfile
from collections.abc import Callable

OUTSIDE = "/tmp/mocovit-outside"  # noqa: S108 - a name that must never come to be

Mutation = Callable[[random.Random, bytes], bytes]

HUGE = (
    0,
    1,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    10**12,
    1 << 62,
    (1 << 64) - 1,
)
"""What length fields, offsets and counts are set to."""

WORDS = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"0",
    b"1.5",
    b"1e-320",
    b"9" * 30,
    b"9" * 5000,
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b'"\\u001b[31mred\\n\\r"',
    b'"\\ud800"',
    b'"../../x"',
    b'"/etc/passwd"',
    b'"float99"',
    b'"object"',
    b'"nchw"',
    b"[" * 60,
    b"[" * 3000 + b"]" * 3000,
    b'"' + b"a" * 70000 + b'"',
    b"10000000000000000000000000",
    b"[[1]]",
    b'{"a": 1, "a": 2}',
    b"0x10",
    b"1979-05-27",
    b"[-1, 1099511627776]",
)
"""What values in text are replaced by."""

NAMES = (
    "../../outside",
    OUTSIDE,
    "a\x1b[2J",
    "..\\..\\outside",
    "names.npy",
    "",
    "a/../../b",
    "x" * 3000,
)
"""What members of archives are renamed to."""


def truncated(rng: random.Random, data: bytes) -> bytes:
    """Cut off at any place, more often near an end."""
    if rng.random() < 0.3:
        return data[: min(len(data), rng.randrange(64))]
    return data[: rng.randrange(len(data) + 1)]


def bits(rng: random.Random, data: bytes) -> bytes:
    """One to eight bits, flipped."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if found:
            found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def run(rng: random.Random, data: bytes) -> bytes:
    """A run of bytes overwritten: zeros, ones or noise."""
    at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 8, 64, 512))
    fill = rng.choice((b"\0" * length, b"\xff" * length, rng.randbytes(length)))
    return data[:at] + fill + data[at + length :]


def length_field(rng: random.Random, data: bytes) -> bytes:
    """An integer somewhere, in either byte order or as a varint, set to what no length should be."""
    value = rng.choice(HUGE)
    width = rng.choice((1, 2, 4, 8))
    at = rng.randrange(max(len(data) - width, 1))
    if rng.random() < 0.7:
        at -= at % width
    form = rng.random()
    if form < 0.6:
        field = struct.pack("<Q", value)[:width]
    elif form < 0.8:
        field = struct.pack(">Q", value)[-width:]
    else:
        field = _varint(value)
        return data[:at] + field + data[at + 1 :]
    return data[:at] + field + data[at + width :]


def nudged(rng: random.Random, data: bytes) -> bytes:
    """A 32-bit integer moved a little: an offset that points beside its table."""
    if len(data) < 8:
        return data
    at = rng.randrange(len(data) // 4 - 1) * 4
    (value,) = struct.unpack_from("<I", data, at)
    moved = (value + rng.choice((-256, -16, -8, -4, -1, 1, 4, 8, 16, 256))) & 0xFFFFFFFF
    return data[:at] + struct.pack("<I", moved) + data[at + 4 :]


def spliced(rng: random.Random, data: bytes) -> bytes:
    """A piece of the file copied, moved or taken out."""
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    piece, at = data[a : min(b, a + 4096)], rng.randrange(len(data) + 1)
    if rng.random() < 0.3:
        return data[:a] + data[a + len(piece) :]
    return data[:at] + piece + data[at:]


def repeated(rng: random.Random, data: bytes) -> bytes:
    """Larger than it was: a piece many times over, or megabytes behind the end."""
    a = rng.randrange(len(data) + 1)
    piece = data[a : a + rng.choice((1, 4, 64, 1024))] or b"\0"
    times = min(rng.choice((10, 1000, 100_000)), (4 << 20) // len(piece))
    return data[:a] + piece * times + (data[a:] if rng.random() < 0.8 else b"")


def text(rng: random.Random, data: bytes) -> bytes:
    """A value of a JSON or TOML document replaced, a key doubled or renamed."""
    values = list(re.finditer(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+_-]*|true|false|null|\[\]|\{\}', data))
    if not values:
        return data
    for _ in range(rng.choice((1, 1, 1, 3))):
        chosen = rng.choice(values)
        if chosen.end() > len(data):
            continue
        data = data[: chosen.start()] + rng.choice(WORDS) + data[chosen.end() :]
    return data


def number(rng: random.Random, data: bytes) -> bytes:
    """A number replaced by another of its kind, which types do not refuse."""
    values = list(re.finditer(rb"(?<![\w\"])-?\d+(\.\d+)?(e[+-]?\d+)?(?![\w\"])", data))
    if not values:
        return data
    chosen = rng.choice(values)
    whole = (b"0", b"1", b"-1", b"2", b"7", b"1000", b"16777216", b"2147483648", b"4611686018427387903")
    real = (b"0.0", b"-0.0", b"1e-8", b"1e9", b"9.9e9", b"0.1", b"-3.5", b"1e17", b"2.2250738585072014e-308")
    return data[: chosen.start()] + rng.choice(real if chosen[1] else whole) + data[chosen.end() :]


def swapped_values(rng: random.Random, data: bytes) -> bytes:
    """Two values of a document exchanged, so that types and sizes do not fit."""
    values = list(re.finditer(rb'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|\[[^\[\]]*\]', data))
    if len(values) < 2:
        return data
    a, b = sorted(rng.sample(values, 2), key=lambda one: one.start())
    if a.end() > b.start():
        return data
    return data[: a.start()] + b[0] + data[a.end() : b.start()] + a[0] + data[b.end() :]


def members(rng: random.Random, data: bytes) -> bytes:
    """A zip archive written again with a member damaged, renamed, doubled, left out, swapped or inflated."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = [(name, archive.read(name)) for name in archive.namelist()]
    except Exception:  # noqa: BLE001 - already damaged: then blindly
        return bits(rng, data)
    if not found:
        return bits(rng, data)
    which = rng.randrange(len(found))
    name, content = found[which]
    what = rng.randrange(8)
    method = zipfile.ZIP_STORED
    if what <= 2:
        inner = (
            text if content[:1] in (b"{", b"[") else rng.choice((bits, run, length_field, truncated, nudged))
        )
        found[which] = (name, inner(rng, content) if content else b"")
    elif what == 3:
        found[which] = (rng.choice(NAMES), content)
    elif what == 4:
        found.append((name, content))
    elif what == 5:
        del found[which]
    elif what == 6:
        other = rng.randrange(len(found))
        found[which], found[other] = (name, found[other][1]), (found[other][0], content)
    else:
        method = zipfile.ZIP_DEFLATED
        found[which] = (name, content[:128] + b"\0" * rng.choice((1000, 20_000_000)))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for one, inside in found:
            archive.writestr(zipfile.ZipInfo(one or "empty"), inside, compress_type=method)
    return stream.getvalue()


def npy_header(rng: random.Random, data: bytes) -> bytes:
    """An array of an .npz file that says it has another shape, order or element type, at the same length."""
    headers = list(
        re.finditer(rb"\{'descr': '([^']*)', 'fortran_order': (\w+), 'shape': (\([^)]*\)), \}", data)
    )
    if not headers:
        return bits(rng, data)
    chosen = rng.choice(headers)
    group = rng.choice((1, 2, 3, 3))
    words = {
        1: (b"|O", b"<f8", b"<c16", b"|V8", b"<M8[s]", b"<U99999999", b"|S0", b">f4", b"<i4", b"|b1"),
        2: (b"True", b"None", b"False"),
        3: (
            b"(1000000000000,)",
            b"(-1,)",
            b"(0, 9999999999)",
            b"(True,)",
            b"()",
            b"(2.5,)",
            b"(99999, 99999)",
        ),
    }[group]
    old, new = chosen[0], chosen[0].replace(chosen[group], rng.choice(words), 1)
    padding = len(old) - len(new)
    after = data[chosen.end() :]
    if padding >= 0:
        return data[: chosen.start()] + new + b" " * padding + after
    blank = len(after) - len(after.lstrip(b" "))
    return data[: chosen.start()] + new + after[min(-padding, blank) :]


def _varint(value: int) -> bytes:
    found = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        found.append(low | (0x80 if value else 0))
        if not value:
            return bytes(found)


BINARY: tuple[Mutation, ...] = (
    truncated,
    bits,
    bits,
    run,
    length_field,
    length_field,
    nudged,
    spliced,
    repeated,
)
TEXT: tuple[Mutation, ...] = (
    text,
    text,
    text,
    number,
    number,
    number,
    swapped_values,
    truncated,
    bits,
    spliced,
    repeated,
)
ARCHIVE: tuple[Mutation, ...] = (members, members, members, bits, length_field, truncated, spliced)
ARRAYS: tuple[Mutation, ...] = (npy_header, npy_header, *ARCHIVE)


def mutated(rng: random.Random, data: bytes, mutations: tuple[Mutation, ...]) -> tuple[bytes, str]:
    """`data` with one to three mutations, and their names."""
    chosen = [rng.choice(mutations) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    for mutation in chosen:
        data = mutation(rng, data)
    return data, "+".join(mutation.__name__ for mutation in chosen)
