"""A program of 22 known instructions, and the exact counts that the plugin must give for it.

An emulator that miscounts it is not used. The instructions were assembled with LLVM; a test assembles them
again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from benchmarks.reports.counts import CLASSES, MAC_WIDTHS, Counts

ASSEMBLY = (
    (0x528849C0, "mov w0, #0x424e"),
    (0x72A9AAC0, "movk w0, #0x4d56, lsl #16"),
    (0xD2800021, "mov x1, #1"),
    (0xD28014E8, "mov x8, #167"),
    (0xD4000001, "svc #0"),  # the region begins: prctl(0x4d56424e, 1)
    (0x4E22CC20, "fmla v0.4s, v1.4s, v2.4s"),
    (0x4E420C20, "fmla v0.8h, v1.8h, v2.8h"),
    (0x4E829420, "sdot v0.4s, v1.16b, v2.16b"),
    (0x0E628020, "smlal v0.4s, v1.4h, v2.4h"),
    (0x3DC003E3, "ldr q3, [sp]"),
    (0xF81F0FE1, "str x1, [sp, #-16]!"),
    (0x52800062, "mov w2, #3"),
    (0x71000442, "subs w2, w2, #1"),
    (0x54FFFFE1, "b.ne #-4"),
    (0x528849C0, "mov w0, #0x424e"),
    (0x72A9AAC0, "movk w0, #0x4d56, lsl #16"),
    (0xD2800001, "mov x1, #0"),
    (0xD28014E8, "mov x8, #167"),
    (0xD4000001, "svc #0"),  # it ends: prctl(0x4d56424e, 0)
    (0xD2800000, "mov x0, #0"),
    (0xD2800BA8, "mov x8, #93"),
    (0xD4000001, "svc #0"),  # exit(0)
)

PROGRAM = tuple(word for word, _ in ASSEMBLY)


def _of(keys: tuple[str, ...], **values: int) -> dict[str, int]:
    return {key: values.get(key, 0) for key in keys}


EXPECTED = Counts(
    instructions=18,
    by_class=_of(
        CLASSES,
        simd_fma_f32=1,
        simd_fma_f16=1,
        simd_dot_i8=1,
        simd_widening_mla=1,
        simd_load=1,
        store=1,
        integer=8,
        branch=3,
        system=1,
    ),
    loaded_bytes=16,
    stored_bytes=8,
    macs=_of(MAC_WIDTHS, fp32=4, fp16=8, int8_dot=16, widening_mla=4),
    # Three blocks: up to the branch (bound by ASIMD on the A76, by issue on the A55), the loop twice (bound
    # by its branch), and the last five instructions (bound by integer pipes on the A76, by issue on the A55).
    cycle_bounds_x24={"cortex-a76": 60 + 2 * 24 + 32, "cortex-a55": 108 + 2 * 24 + 60},
)


def elf(words: Sequence[int]) -> bytes:
    """A static AArch64 Linux executable of these A64 words: a header, one segment, the code."""
    code = b"".join(struct.pack("<I", word) for word in words)
    base, header, segment = 0x400000, 64, 56
    start = header + segment
    identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)  # 64 bits, little-endian, version 1
    executable, aarch64 = 2, 183
    return (
        identity
        + struct.pack("<HHIQQQI", executable, aarch64, 1, base + start, header, 0, 0)
        + struct.pack("<HHHHHH", header, segment, 1, 0, 0, 0)
        + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, start + len(code), start + len(code), 0x10000)
        + code
    )
