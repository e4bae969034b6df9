"""The decoder, the port model and the accounts of the counting plugin, against known encodings and sums."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.reports.counts import CLASSES, CYCLE_UNITS, MAC_WIDTHS
from benchmarks.toolchain.cache import cache_root
from benchmarks.toolchain.emulator import PLUGIN_SOURCES

ENCODINGS = Path(__file__).parents[1] / "data" / "a64_encodings.txt"
EVERY_EXTENSION = "cortex_x2+i8mm+sve+lse+crc+rcpc_immo"


class Decoded(ctypes.Structure):
    _fields_ = (
        ("class_", ctypes.c_int),
        ("loaded_bytes", ctypes.c_uint),
        ("stored_bytes", ctypes.c_uint),
        ("mac", ctypes.c_int),
        ("macs", ctypes.c_uint),
    )


class Mix(ctypes.Structure):
    _fields_ = (
        ("by_class", ctypes.c_uint64 * len(CLASSES)),
        ("loaded_bytes", ctypes.c_uint64),
        ("stored_bytes", ctypes.c_uint64),
        ("macs", ctypes.c_uint64 * len(MAC_WIDTHS)),
    )


class Known(NamedTuple):
    word: int
    assembly: str
    name: str
    amount: str


def known_instructions() -> list[Known]:
    rows = [line for line in ENCODINGS.read_text().splitlines() if not line.startswith("#")]
    found = []
    for row in rows:
        word, assembly, said = (part.strip() for part in row.split("|"))
        name, _, amount = said.partition(" ")
        found.append(Known(int(word, 16), assembly, name, amount))
    return found


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) to compile the decoder with")
    output = tmp_path_factory.mktemp("decoder") / "decoder.so"
    sources = [PLUGIN_SOURCES / "a64.c", PLUGIN_SOURCES / "ports.c"]
    strict = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run([compiler, *strict, "-o", output, *sources], check=True, timeout=60)
    loaded = ctypes.CDLL(str(output))
    loaded.a64_decode.restype, loaded.a64_decode.argtypes = Decoded, [ctypes.c_uint32]
    loaded.cycle_bound.restype = ctypes.c_uint64
    loaded.cycle_bound.argtypes = [ctypes.c_int, ctypes.POINTER(Mix)]
    return loaded


def strings(library: ctypes.CDLL, symbol: str, length: int) -> tuple[str, ...]:
    values = (ctypes.c_char_p * length).in_dll(library, symbol)
    return tuple((value or b"").decode() for value in values)


def test_c_and_python_name_the_same_things(library: ctypes.CDLL) -> None:
    assert strings(library, "a64_class_names", len(CLASSES)) == CLASSES
    assert strings(library, "a64_mac_names", len(MAC_WIDTHS)) == MAC_WIDTHS
    assert f"#define CYCLE_UNITS {CYCLE_UNITS}" in (PLUGIN_SOURCES / "ports.h").read_text()


def test_every_class_has_a_known_instruction() -> None:
    assert {known.name for known in known_instructions()} == set(CLASSES)


@pytest.mark.parametrize("known", known_instructions(), ids=lambda known: known.assembly)
def test_decodes(library: ctypes.CDLL, known: Known) -> None:
    seen = library.a64_decode(known.word)
    assert CLASSES[seen.class_] == known.name
    width, _, macs = known.amount.partition("=")
    if macs:
        assert (MAC_WIDTHS[seen.mac], seen.macs) == (width, int(macs))
    else:
        assert seen.macs == 0
    moved = int(known.amount) if known.amount.isdecimal() else 0
    loads = known.name in ("load", "simd_load", "atomic")
    stores = known.name in ("store", "simd_store", "atomic")
    assert (seen.loaded_bytes, seen.stored_bytes) == (moved * loads, moved * stores)


@pytest.mark.slow
def test_known_words_are_what_llvm_assembles(tmp_path: Path) -> None:
    zig = next(iter(sorted((cache_root() / "tools").glob("ziglang-*/ziglang/zig"))), None)
    if zig is None:
        pytest.skip("no zig in the cache folder (mocovit-bench bundle installs it)")
    rows = known_instructions()
    source, output = tmp_path / "known.s", tmp_path / "known.o"
    source.write_text("".join(f"{known.assembly}\n" for known in rows))
    target = ["-target", "aarch64-linux-gnu", f"-mcpu={EVERY_EXTENSION}"]
    subprocess.run([zig, "cc", *target, "-c", "-o", output, source], check=True, timeout=300)
    code = b"".join(struct.pack("<I", known.word) for known in rows)
    assert code in output.read_bytes()


def mix_of(classes: dict[str, int], loaded_bytes: int) -> Mix:
    mix = Mix(loaded_bytes=loaded_bytes)
    for name, number in classes.items():
        mix.by_class[CLASSES.index(name)] = number
    return mix


# By hand from the two optimization guides: (classes, loaded bytes, A76 cycles, A55 cycles).
BOUNDS = [
    ({"integer": 12}, 0, 4.0, 6.0),  # three integer pipes; two issue slots
    ({"simd_fma_f32": 8}, 0, 4.0, 8.0),  # two ASIMD pipes; one 128-bit operation a cycle
    ({"simd_widening_mla": 8}, 0, 8.0, 8.0),  # only one pipe of the A76 accumulates widening products
    ({"simd_load": 6}, 96, 3.0, 12.0),  # two address units; a load path of 8 bytes
    ({"load": 6}, 24, 3.0, 6.0),
    ({"store": 4}, 0, 2.0, 4.0),
    ({"prefetch": 4}, 0, 2.0, 2.0),
    ({"branch": 3}, 0, 3.0, 3.0),
    ({"system": 8}, 0, 2.0, 4.0),  # dispatch alone
    # XNNPACK's hot block on the A76: 96 FMLA, 12 LDR and 8 LDP of Q registers, 4 PRFM, 1 SUB, 1 branch
    ({"simd_fma_f32": 96, "simd_load": 20, "prefetch": 4, "integer": 1, "branch": 1}, 448, 48.0, 96.0),
]


@pytest.mark.parametrize(("classes", "loaded_bytes", "a76", "a55"), BOUNDS)
def test_bounds(
    library: ctypes.CDLL, classes: dict[str, int], loaded_bytes: int, a76: float, a55: float
) -> None:
    mix = mix_of(classes, loaded_bytes)
    bounds = [library.cycle_bound(core, ctypes.byref(mix)) / CYCLE_UNITS for core in (0, 1)]
    assert bounds == [a76, a55]
