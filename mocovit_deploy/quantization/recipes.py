"""Recipes: the values of --precision. A name is made of its parts.

    static_wi8_ai8_fp16
    |      |   |   operators that are not quantized are computed in fp16; in fp32 without this part
    |      |   activations in int8
    |      weights in int8
    ranges of activations are fixed, from calibration images

    mixed          as static, but an operator is quantized only if that makes the file cheaper
    dynamic        ranges of activations are measured on the phone, for each image
    weight_only    weights are stored in int8 (wi8), or as indices of 6 bits into a palette (wp6), and widened
                   before they are used

`fp32`, `fp16` and `fp16_weights` quantize nothing. Plain data, no torch.
"""

from __future__ import annotations

from typing import NamedTuple

FLOAT, STATIC, DYNAMIC, WEIGHT_ONLY = "float", "static", "dynamic", "weight_only"


class Recipe(NamedTuple):
    """What a file's weights, activations and remaining operators are stored and computed in.

    A `NamedTuple`, because --help lists recipes and `dataclasses` takes a third of its time to import.
    """

    name: str
    weights: str
    """The type that weights are stored in."""
    activations: str
    """The type of the inputs of quantized operators; of all operators if none is quantized."""
    islands: str
    """The type that operators which are not quantized are computed in, if the processor can."""
    ranges: str = FLOAT
    """Where the ranges of activations come from: `FLOAT` (there are none), `STATIC`, `DYNAMIC`,
    `WEIGHT_ONLY`.
    """
    is_mixed: bool = False
    """Whether an operator is in int8 only if that makes the file cheaper; else every operator that can be."""

    @property
    def is_static(self) -> bool:
        """Whether it needs calibration images."""
        return self.ranges == STATIC

    @property
    def quantizes(self) -> bool:
        """Whether weights or activations are quantized to integers or palette indices."""
        return self.ranges != FLOAT

    @property
    def meaning(self) -> str:
        """The name in words.

        >>> recipe_named("static_wi8_ai8_fp16").meaning
        'int8 weights; int8 activations with ranges from calibration images; other operators in fp16'
        """
        if not self.quantizes:
            stored = f"weights in {self.weights}; " if self.weights != "fp32" else ""
            return f"{stored}computed in {self.activations}"
        others = "operators for which that is cheaper" if self.is_mixed else "other operators"
        where = {
            STATIC: f"{self.activations} activations with ranges from calibration images",
            DYNAMIC: "int8 activations with ranges measured for each image",
            WEIGHT_ONLY: f"widened to {self.activations} before they are used",
        }[self.ranges]
        return f"{self.weights} weights; {where}; {others} in {self.islands}"


RECIPES = (
    Recipe(name="fp32", weights="fp32", activations="fp32", islands="fp32"),
    Recipe(name="fp16", weights="fp32", activations="fp16", islands="fp16"),
    Recipe(name="fp16_weights", weights="fp16", activations="fp16", islands="fp16"),
    Recipe(name="static_wi8_ai8", ranges=STATIC, weights="int8", activations="int8", islands="fp32"),
    Recipe(name="static_wi8_ai8_fp16", ranges=STATIC, weights="int8", activations="int8", islands="fp16"),
    Recipe(name="static_wi8_ai16", ranges=STATIC, weights="int8", activations="int16", islands="fp32"),
    Recipe(
        name="mixed_wi8_ai8", ranges=STATIC, weights="int8", activations="int8", islands="fp32", is_mixed=True
    ),
    Recipe(
        name="mixed_wi8_ai8_fp16",
        ranges=STATIC,
        weights="int8",
        activations="int8",
        islands="fp16",
        is_mixed=True,
    ),
    Recipe(name="dynamic_wi8_afp32", ranges=DYNAMIC, weights="int8", activations="fp32", islands="fp32"),
    Recipe(
        name="weight_only_wi8_afp32", ranges=WEIGHT_ONLY, weights="int8", activations="fp32", islands="fp32"
    ),
    Recipe(
        name="weight_only_wi8_afp16", ranges=WEIGHT_ONLY, weights="int8", activations="fp16", islands="fp16"
    ),
    Recipe(
        name="weight_only_wp6_afp16",
        ranges=WEIGHT_ONLY,
        weights="6-bit palette",
        activations="fp16",
        islands="fp16",
    ),
)
"""In the order in which --help lists them. A format's own `RECIPES` are the names that it can write."""


def recipe_named(name: str) -> Recipe:
    """The recipe of that name. Raises `KeyError` for any other; formats check the names that users give."""
    return {recipe.name: recipe for recipe in RECIPES}[name]
