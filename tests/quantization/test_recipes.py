"""Names of recipes decode themselves."""

import re

import pytest

from mocovit_deploy.parity.tolerance import MEANT_ARITHMETIC
from mocovit_deploy.quantization.recipes import DYNAMIC, FLOAT, RECIPES, STATIC, WEIGHT_ONLY, recipe_named

NAME = re.compile(r"(static|mixed|dynamic|weight_only)_w(i8|p6)_a(i8|i16|fp32|fp16)(_fp16)?")
STORED = {"p6": "6-bit palette", "fp16": "fp16", "i8": "int8", "i16": "int16", "fp32": "fp32"}


@pytest.mark.parametrize("recipe", [one for one in RECIPES if one.quantizes], ids=lambda one: one.name)
def test_a_name_says_what_the_fields_say(recipe):
    kind, weights, activations, islands = NAME.fullmatch(recipe.name).groups()
    ranges = STATIC if kind == "mixed" else kind
    assert recipe.is_mixed == (kind == "mixed")
    assert (recipe.ranges, recipe.weights) == (ranges, STORED[weights])
    assert recipe.activations == STORED[activations]
    assert recipe.islands == (activations if activations == "fp16" else (islands or "_fp32")[1:])
    assert recipe.is_static == (ranges == STATIC)


def test_every_recipe_is_named_once_and_says_what_it_means():
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    assert {recipe.ranges for recipe in RECIPES} == {FLOAT, STATIC, DYNAMIC, WEIGHT_ONLY}
    assert all(recipe.meaning for recipe in RECIPES)
    assert recipe_named("fp16_weights").meaning == "weights in fp16; computed in fp16"
    assert recipe_named("dynamic_wi8_afp32").meaning.startswith(
        "int8 weights; int8 activations with ranges measured"
    )


def test_what_a_recipe_is_made_for_is_what_its_islands_say():
    for name, arithmetic in MEANT_ARITHMETIC.items():
        assert ("fp16" in arithmetic) == (recipe_named(name).islands == "fp16")
