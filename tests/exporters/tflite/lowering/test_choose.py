"""Which rewrites a file gets, and pad_rows, which only marks layers for the writer."""

import importlib

import pytest
from networks import Lambda, picture
from rewriting import rewritten
from torch import nn

from exporters import tflite
from exporters.tflite.direct.write import written
from exporters.tflite.lowering import choose
from exporters.tflite.lowering.choose import (
    LOWERINGS,
    NEEDED,
    RUNTIME,
    is_chosen,
    lowerings,
    pays,
    uncertain,
)
from exporters.tflite.lowering.pad_rows import pad_rows
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.formats import format_named
from mocovit_deploy.passes import HALF_REWRITES
from mocovit_deploy.passes.run import rewrite
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.spec import TensorSpec


def names(recipe):
    return [module.rpartition(".")[2] for module in lowerings(recipe)]


def test_every_rewrite_is_a_function_of_its_own_name():
    for one in LOWERINGS:
        assert rewrite(one.module).__name__ == one.name
        assert importlib.import_module(one.module).__doc__


def test_an_fp32_and_an_fp16_file_are_different_graphs():
    assert "bound_linear_attention" not in names("fp32")
    assert (uncertain("fp16"), uncertain("fp32")) == (("silu_by_tanh",), ())
    assert set(uncertain("fp16")) <= set(names("fp16"))
    assert {"pad_rows", "double_ghost", "bound_linear_attention"} <= set(names("fp16"))
    assert names("fp16_weights") == names("fp16")
    assert "sink_concat" in names("fp32")
    assert not {"pad_rows", "double_ghost"} & set(names("fp32"))


def test_quantized_files_get_what_their_float_operators_need():
    quantized = [recipe for recipe in tflite.RECIPES if recipe_named(recipe).quantizes]
    assert quantized
    for recipe in quantized:
        half = recipe.endswith("fp16")
        needed = ["separate_denominator", *["bound_linear_attention"] * half]
        assert not uncertain(recipe)
        alone = {one.name for one in LOWERINGS if not one.quantized} | set(uncertain("fp16") if half else ())
        mixed = [name for name in names("fp16" if half else "fp32") if name not in alone]
        assert names(recipe) == (mixed if "mixed" in recipe else needed)


def test_every_rewrite_that_is_decided_by_counts_was_counted():
    for one in LOWERINGS:
        for arithmetic, decided in one.decided.items():
            if decided != NEEDED:
                assert choose._measured()[RUNTIME][arithmetic][one.name], (one.name, arithmetic)


def test_counts_decide(monkeypatch):
    counts = {"a": {"with": 90.0, "without": 100.0}, "b": {"with": 105.0, "without": 100.0}}
    monkeypatch.setattr(choose, "_measured", lambda: {"r": {"fp32": {"pad_rows": counts}}})
    assert pays("pad_rows", "fp32", "r")
    counts["b"]["with"] = 111.0
    assert not pays("pad_rows", "fp32", "r")
    assert not pays("pad_rows", "fp16", "r"), "never counted there"
    assert not pays("pad_rows", "fp32", "another runtime")
    assert is_chosen(LOWERINGS[0], "fp32", "another runtime"), "it is needed"


@pytest.mark.parametrize("name", FORMATS)
def test_linear_attention_is_bounded_in_every_fp16_file(name):
    assert tuple(format_named(name).lowerings("fp16")[:2]) == HALF_REWRITES


def kinds_of(network, x, *rewrites):
    """Operators of the file, in order."""
    graph = rewritten(network, x, *rewrites).graph
    n, c, h, w = x.shape
    out = [TensorSpec("y", tuple(network(x).shape), "float32")]
    model = written(graph, [TensorSpec("x", (n, h, w, c), "float32", "nhwc")], out)
    from ai_edge_litert import schema_py_generated as schema

    kinds = {
        number: kind for kind, number in vars(schema.BuiltinOperator).items() if not kind.startswith("_")
    }
    codes = [kinds[code.builtinCode] for code in model.operatorCodes]
    return [codes[operator.opcodeIndex] for operator in model.subgraphs[0].operators]


def strided(padding=1):
    return Lambda(lambda s, x: s.conv(x), conv=nn.Conv2d(3, 4, 3, 2, padding))


def test_padding_by_rows():
    assert kinds_of(strided(), picture(size=8))[:2] == ["PAD", "CONV_2D"]
    assert kinds_of(strided(), picture(size=8), pad_rows)[:4] == ["RESHAPE", "PAD", "RESHAPE", "CONV_2D"]


@pytest.mark.parametrize(
    ("network", "size"),
    [
        pytest.param(strided(0), 8, id="no padding"),
        pytest.param(strided(), 9, id="padding that SAME has"),
        pytest.param(Lambda(lambda s, x: s.conv(x), conv=nn.Conv2d(3, 4, 3, 1, 1)), 8, id="stride 1"),
    ],
)
def test_padding_of_the_operator_stays(network, size):
    assert not rewritten(network, picture(size=size), pad_rows).changes
