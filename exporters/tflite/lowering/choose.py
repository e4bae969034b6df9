"""Which rewrites a file gets: those it needs, and those that were counted to pay where it will run.

`measured.toml` holds the counts, of real kernels on an emulated Cortex-A76: instructions of one inference
with all chosen rewrites and with or without one. `make fast ARGS="--stage ablation"` takes them again.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mocovit_deploy.quantization.recipes import recipe_named

MEASURED = Path(__file__).with_name("measured.toml")
RUNTIME = "litert 2.3.0"
"""The runtime files are made for."""
FLOATING = ("fp32", "fp16", "fp16_weights")
"""Recipes that are not quantized."""
NEEDED, COUNTED = "needed", "counted"
HERE, PASSES = "exporters.tflite.lowering", "mocovit_deploy.passes"


@dataclass(frozen=True)
class Lowering:
    """A rewrite, and what decides on it in each arithmetic it is allowed in."""

    name: str
    package: str
    decided: dict[str, str]
    """By arithmetic: `NEEDED`, at any cost, or `COUNTED`. In one that is absent it is never used."""

    @property
    def module(self) -> str:
        return f"{self.package}.{self.name}"


LOWERINGS = (
    Lowering("separate_denominator", PASSES, {"fp32": NEEDED, "fp16": NEEDED}),  # else several partitions
    Lowering("bound_linear_attention", PASSES, {"fp16": NEEDED}),  # else NaN
    Lowering("transpose_once", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
    Lowering("split_projection", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
    Lowering("absorb_layer_norm", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
    Lowering("centre_residual", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
    Lowering("double_ghost", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
    Lowering("sink_concat", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
    Lowering("silu_by_tanh", HERE, {"fp32": COUNTED}),  # fails parity in fp16
    Lowering("pool_global_mean", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
    Lowering("pad_rows", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
)
"""In order: what a rewrite makes, a later one may rewrite."""


def lowerings(recipe: str, runtime: str = RUNTIME) -> tuple[str, ...]:
    """Modules of the rewrites that files of `recipe` get, in order.

    Mixed files get those of the arithmetic of their float operators, so that all of them float is one of the
    mixtures. Other quantized files get those that this arithmetic needs: the rest was not counted on them.
    """
    arithmetic = recipe_named(recipe).islands
    if recipe not in FLOATING and not recipe_named(recipe).is_mixed:
        return tuple(one.module for one in LOWERINGS if one.decided.get(arithmetic) == NEEDED)
    return tuple(one.module for one in LOWERINGS if is_chosen(one, arithmetic, runtime))


def is_chosen(lowering: Lowering, arithmetic: str, runtime: str) -> bool:
    """Is it needed in this arithmetic, or counted to pay over the networks it was measured on?"""
    decided = lowering.decided.get(arithmetic)
    return decided == NEEDED or (decided == COUNTED and pays(lowering.name, arithmetic, runtime))


def pays(name: str, arithmetic: str, runtime: str) -> bool:
    """Do the networks of `measured.toml` take fewer instructions with it, each network weighing the same?"""
    counts = _measured().get(runtime, {}).get(arithmetic, {}).get(name, {})
    ratios = [one["with"] / one["without"] for one in counts.values()]
    return bool(ratios) and sum(ratios) / len(ratios) < 1


@cache
def _measured() -> dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]:
    """Millions of instructions by runtime, arithmetic, rewrite and network."""
    return tomllib.loads(MEASURED.read_text(encoding="utf-8"))
