"""Recipes: the values of --precision. A name decodes itself.

    static_wi8_ai8_fp16
    |      |   |   what is not quantized is computed in fp16; in fp32 if nothing is said
    |      |   activations in int8
    |      weights in int8
    ranges of activations are fixed, from calibration images

    mixed          the same, and each operator in whichever arithmetic makes the file cheapest
    dynamic        ranges of activations are measured on the phone, for each image
    weight_only    weights are stored in int8 (wi8), or as indices of 6 bits into a palette (wp6), and widened
                   before they are used

`fp32`, `fp16` and `fp16_weights` quantize nothing. Plain data, no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

FLOAT, STATIC, DYNAMIC, WEIGHT_ONLY = "float", "static", "dynamic", "weight_only"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a file's weights, activations and remaining operators are stored and computed in."""

    name: str
    ranges: str = FLOAT
    """Where the ranges of activations come from: `FLOAT` (there are none), `STATIC`, `DYNAMIC`,
    `WEIGHT_ONLY`.
    """
    weights: str
    """What weights are stored in."""
    activations: str
    """What the inputs of quantized operators are stored in, or of all operators if none is quantized."""
    islands: str
    """What operators that are not quantized are computed in, where the processor can."""
    is_mixed: bool = False
    """Is an operator int8 only where that makes the file cheaper? Else wherever it can be."""

    @property
    def is_static(self) -> bool:
        """Does it need calibration images?"""
        return self.ranges == STATIC

    @property
    def quantizes(self) -> bool:
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
"""In the order in which they are listed to a user. What a format can have of them is its own `RECIPES`."""


def recipe_named(name: str) -> Recipe:
    """The recipe of that name. Raises `KeyError` for any other: names from users are checked by formats."""
    return {recipe.name: recipe for recipe in RECIPES}[name]
