"""Laws every listed pass keeps; being in PASSES is enough to be held to them."""

import importlib
import re

import pytest
import torch
from networks import picture, tiny_mocovit

from mocovit_deploy.capture import capture
from mocovit_deploy.passes import PASSES
from mocovit_deploy.passes.run import named_pass


@pytest.fixture(scope="module")
def graph():
    return capture(tiny_mocovit(), [picture()])


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
    assert once.changes, "the network has something for every pass"
    twice = named_pass(name)(once.graph)
    assert not twice.changes
    assert twice.graph.code == once.graph.code


@pytest.mark.parametrize("name", PASSES)
def test_changes_name_modules_of_the_network(name, graph):
    paths = {path for path, _ in tiny_mocovit().named_modules()}
    assert {change.where for change in named_pass(name)(graph).changes} <= paths
