"""Counts of one inference by the counting plugin, and reading them from its output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.reports import schema
from mocovit_deploy.errors import DeviceError

PLUGIN_SCHEMA_VERSION = 1

CLASSES = (
    "branch",
    "integer",
    "integer_multicycle",
    "load",
    "store",
    "atomic",
    "simd_load",
    "simd_store",
    "prefetch",
    "simd_fma_f32",
    "simd_fma_f16",
    "simd_dot_i8",
    "simd_matmul_i8",
    "simd_widening_mla",
    "simd_other",
    "fp_scalar",
    "system",
    "other",
)
"""Classes of instructions. Each instruction is of exactly one, so they add up to all instructions."""

MAC_WIDTHS = ("fp32", "fp16", "int8_dot", "int8_matmul", "widening_mla")
"""Multiply-accumulates by the SIMD instruction that does them: FMLA on single and on half lanes, SDOT/UDOT,
SMMLA/UMMLA, SMLAL/UMLAL and similar ones."""

CYCLE_UNITS = 24
"""Cycle bounds are counted in 24ths: every throughput in the port models divides 24, so sums are exact, and
two runs agree to the last digit."""


@dataclass(frozen=True, kw_only=True)
class HotBlock:
    """A translated block of guest code, and its share of one inference."""

    address: str
    executions: int
    instructions: int
    """The number in the block, which contributed `executions * instructions`."""
    words: tuple[str, ...]
    """The A64 words in program order, eight hexadecimal digits each, for a disassembler."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """The counts of an inference so far, when the program noted `number` (native/markers.h)."""

    number: int
    instructions: int
    cycle_bounds_x24: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Exact counts of one inference: everything between its two marks, on all threads together.

    Raises `ValueError` if the classes do not add up to the instructions: the plugin would then be wrong.
    """

    instructions: int
    by_class: Mapping[str, int]
    loaded_bytes: int
    stored_bytes: int
    macs: Mapping[str, int]
    cycle_bounds_x24: Mapping[str, int]
    """By core: the bound from port pressure, in 24ths of a cycle. It assumes that caches never miss."""
    ticks: tuple[Tick, ...] = ()
    """In order; empty unless operators are profiled."""
    hottest: tuple[HotBlock, ...] = ()

    def __post_init__(self) -> None:
        if set(self.by_class) != set(CLASSES) or set(self.macs) != set(MAC_WIDTHS):
            raise ValueError("classes or widths are not those of this version")
        amounts = (self.by_class, self.macs, self.cycle_bounds_x24)
        every = [amount for each in amounts for amount in each.values()]
        if min(self.instructions, self.loaded_bytes, self.stored_bytes, *every) < 0:
            raise ValueError("a count is negative")
        if sum(self.by_class.values()) != self.instructions:
            raise ValueError(f"classes add up to {sum(self.by_class.values())}, not {self.instructions}")

    @property
    def total_macs(self) -> int:
        """The multiply-accumulates of all operators together."""
        return sum(self.macs.values())

    def cycle_bound(self, core: str) -> float:
        """The fewest cycles of one inference on `core`. Raises `KeyError` for a core without a port model."""
        return self.cycle_bounds_x24[core] / CYCLE_UNITS


@dataclass(frozen=True, kw_only=True)
class PluginOutput:
    """The output of the plugin for one run of a program."""

    schema_version: int
    unbalanced_marks: int
    """Ends without a begin, begins within a region, and regions open at the end; must be 0."""
    regions: tuple[Counts, ...]
    """One for each marked region, in order: for the bench, one for each inference."""


def parse_plugin_output(document: Any, where: str) -> PluginOutput:
    """The plugin's JSON, checked. Raises `DeviceError` if it is of another version, damaged or empty.

    An emulated program that died before its first mark leaves no region, which is an error too, not a count
    of zero.
    """
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != PLUGIN_SCHEMA_VERSION:
        raise DeviceError(
            f"{where}: plugin output of schema {version}, not {PLUGIN_SCHEMA_VERSION}; "
            "build it again: mocovit-bench emulator"
        )
    output = schema.build_record(PluginOutput, document, where)
    if output.unbalanced_marks:
        raise DeviceError(f"{where}: a region was left open or ended twice; the program did not finish")
    if not output.regions:
        raise DeviceError(f"{where}: the program ended before its first inference, so nothing was counted")
    return output


def typical(regions: tuple[Counts, ...]) -> Counts:
    """The region with the (lower) median of instructions; where counting is exact, all are equal."""
    return sorted(regions, key=lambda counts: counts.instructions)[(len(regions) - 1) // 2]
