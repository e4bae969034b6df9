"""Laws every listed pass keeps; being in PASSES is enough to be held to them."""

import importlib
import re

import pytest
import torch
from networks import Lambda, picture, tiny_mocovit
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.passes import PASSES
from mocovit_deploy.passes.run import named_pass


def two_branches():
    layers = {"wide": nn.Conv2d(3, 3, 3, padding=1), "narrow": nn.Conv2d(3, 3, 1)}
    return Lambda(lambda s, x: s.wide(x) + s.narrow(x), **layers)


def with_pixels():
    mean, std = torch.tensor([0.5, 0.4, 0.3]).reshape(3, 1, 1), torch.tensor([0.2, 0.3, 0.4]).reshape(3, 1, 1)
    network = Lambda(lambda s, x: s.conv((x - s.mean) / s.std), conv=nn.Conv2d(3, 4, 3, padding=1))
    network.register_buffer("mean", mean)
    network.register_buffer("std", std)
    return network


OWN_EXAMPLE = {"merge_branches": two_branches, "fold_normalization": with_pixels}
"""For passes that find nothing to do in MoCoViT; all others must change something there."""


def example(name):
    return OWN_EXAMPLE.get(name, tiny_mocovit)()


@pytest.fixture(scope="module")
def captured():
    return {name: capture(example(name), [picture()]) for name in {*OWN_EXAMPLE, PASSES[0]}}


@pytest.fixture
def graph(captured, name):
    return captured[name if name in OWN_EXAMPLE else PASSES[0]]


@pytest.mark.parametrize("name", PASSES)
def test_the_docstring_draws_the_rewrite(name):
    text = importlib.import_module(f"mocovit_deploy.passes.{name}").__doc__
    for word in ("before ", "after ", "Refuses ", "Exact ", "Source "):
        assert re.search(rf"^\s*{word}", text, re.MULTILINE), f"{name} says nothing of {word}"


@pytest.mark.parametrize("name", PASSES)
def test_the_given_graph_is_untouched(name, graph):
    before, code = {k: v.clone() for k, v in graph.state_dict().items()}, graph.code
    named_pass(name)(graph)
    assert graph.code == code
    assert all(torch.equal(v, before[k]) for k, v in graph.state_dict().items())


@pytest.mark.parametrize("name", PASSES)
def test_a_second_run_changes_nothing(name, graph):
    for earlier in PASSES[: PASSES.index(name)]:
        graph = named_pass(earlier)(graph).graph
    once = named_pass(name)(graph)
    assert once.changes, "each pass has something to do in its example"
    twice = named_pass(name)(once.graph)
    assert not twice.changes
    assert twice.graph.code == once.graph.code


@pytest.mark.parametrize("name", PASSES)
def test_changes_name_modules_of_the_network(name, graph):
    paths = {path for path, _ in example(name).named_modules()}
    assert {change.where for change in named_pass(name)(graph).changes} <= paths


@pytest.mark.parametrize("name", OWN_EXAMPLE)
def test_an_example_of_its_own_is_needed(name):
    graph = capture(tiny_mocovit(), [picture()])
    for earlier in PASSES[: PASSES.index(name)]:
        graph = named_pass(earlier)(graph).graph
    assert not named_pass(name)(graph).changes, f"{name} has something in MoCoViT: take it off OWN_EXAMPLE"
