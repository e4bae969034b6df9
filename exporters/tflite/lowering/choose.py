"""The rewrites for a recipe: those that it needs, and those that save instructions by count.

`measured.toml` holds the counts of real kernels on an emulated Cortex-A76: instructions of one inference with
all chosen rewrites, with and without each one. `make fast ARGS="--stage ablation"` counts them again.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mocovit_deploy.quantization.recipes import Recipe, recipe_named

MEASURED = Path(__file__).with_name("measured.toml")
RUNTIME = "litert 2.3.0"
"""The runtime that files are made for."""
NEEDED, COUNTED, TRIED = "needed", "counted", "tried"
HERE, PASSES = "exporters.tflite.lowering", "mocovit_deploy.passes"


@dataclass(frozen=True)
class Lowering:
    """A rewrite, and for each arithmetic whether it is used always or by count."""

    name: str
    package: str
    decided: dict[str, str]
    """By arithmetic, else never used: `NEEDED` (always used), `COUNTED` (used if it saves instructions), or
    `TRIED` (as `COUNTED`, and left out of a file that fails in its arithmetic with it)."""
    quantized: bool = True
    """Is it used in the float operators of quantized files?"""

    @property
    def module(self) -> str:
        """The module with the rewrite."""
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
    Lowering("silu_by_tanh", HERE, {"fp32": COUNTED, "fp16": TRIED}),  # efficientnet_b0 fails in fp16
    Lowering("pool_global_mean", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
    Lowering("split_last_row", HERE, {"fp32": COUNTED, "fp16": COUNTED}, quantized=False),
    Lowering("centre_head", HERE, {"fp16": NEEDED}, quantized=False),  # this and the next: fails parity else
    Lowering("split_sums", HERE, {"fp16": NEEDED}, quantized=False),
    Lowering("pad_rows", HERE, {"fp32": COUNTED, "fp16": COUNTED}),
)
"""In order of application: a later rewrite may match the result of an earlier one."""


def lowerings(recipe: str, runtime: str = RUNTIME) -> tuple[str, ...]:
    """Modules of the rewrites for files of `recipe`, in order.

    Float and mixed files get those that their float operators need, and those that save instructions. Other
    quantized files get only those that are needed: what the others save was not counted on such files. Nor
    was it, for any quantized file, of rewrites with `quantized` False; and what is `TRIED` may cost accuracy.
    """
    known = recipe_named(recipe)
    allowed = [one for one in LOWERINGS if _is_allowed(one, known)]
    if known.quantizes and not known.is_mixed:
        return tuple(one.module for one in allowed if one.decided.get(known.islands) == NEEDED)
    return tuple(one.module for one in allowed if is_chosen(one, known.islands, runtime))


def uncertain(recipe: str) -> tuple[str, ...]:
    """Names of the rewrites among `lowerings` that a file of `recipe` gets only if it passes with them."""
    known = recipe_named(recipe)
    return tuple(
        one.name for one in LOWERINGS if _is_allowed(one, known) and one.decided.get(known.islands) == TRIED
    )


def _is_allowed(lowering: Lowering, recipe: Recipe) -> bool:
    return not recipe.quantizes or (lowering.quantized and lowering.decided.get(recipe.islands) != TRIED)


def is_chosen(lowering: Lowering, arithmetic: str, runtime: str) -> bool:
    """True if the rewrite is needed in this arithmetic, or saves instructions by count."""
    decided = lowering.decided.get(arithmetic)
    return decided == NEEDED or (decided in (COUNTED, TRIED) and pays(lowering.name, arithmetic, runtime))


def pays(name: str, arithmetic: str, runtime: str) -> bool:
    """True if the mean ratio of instructions, with to without the rewrite, over all networks is below 1."""
    counts = _measured().get(runtime, {}).get(arithmetic, {}).get(name, {})
    ratios = [one["with"] / one["without"] for one in counts.values()]
    return bool(ratios) and sum(ratios) / len(ratios) < 1


@cache
def _measured() -> dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]:
    """Millions of instructions by runtime, arithmetic, rewrite and network."""
    return tomllib.loads(MEASURED.read_text(encoding="utf-8"))
