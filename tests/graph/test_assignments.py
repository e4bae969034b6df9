"""Assignments into parts of a tensor become slices and concatenations."""

import pytest
import torch
from torch import nn

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.graph.capture import capture


class Assigning(nn.Module):
    def __init__(self, assign):
        super().__init__()
        self.conv, self.norm, self.assign = nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6), assign

    def forward(self, x):
        y = self.norm(self.conv(x)).clone()
        return self.assign(y)


def select(y):
    y[:, 0] = y[:, -1] * 0.5
    return y


def last(y):
    y[:, -1] = 1.0
    return y


def several(y):
    y[:, 1:3] = y[:, 3:5]
    return y


def all_of_an_axis(y):
    y[:, :, :] = y.flip(1)
    return y


def broadcast(y):
    y[:, 2:, 1] = y[:, 0, :1]
    return y


def through_a_view(y):
    view = y[:, :2]
    view.mul_(2)
    return y + 1, view


def nothing(y):
    y[:, 4:2] = 7.0
    return y


def added(y):
    y[:, 1] += 1
    return y


@pytest.mark.parametrize(
    "assign", [select, last, several, all_of_an_axis, broadcast, through_a_view, nothing, added]
)
def test_the_graph_computes_the_same_with_operations_that_formats_have(assign):
    network = Assigning(assign).eval()
    nn.init.uniform_(network.norm.running_mean)
    example = torch.randn(1, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    graph = capture(network, [example])
    with torch.no_grad():
        for found, expected in zip(as_tuple(graph(example)), as_tuple(network(example)), strict=True):
            assert torch.equal(found, expected)
    called = {str(node.target) for node in graph.graph.nodes if node.op == "call_function"}
    assert "aten.batch_norm.default" in called
    assert not [name for name in called if "scatter" in name or "copy" in name or "fill" in name]


def test_assignments_with_a_step_stay_one_operation():
    def assign(y):
        y[:, ::2] = 0.5
        return y

    network = Assigning(assign).eval()
    example = torch.randn(1, 3, 5, 4)
    graph = capture(network, [example])
    with torch.no_grad():
        assert torch.equal(graph(example), network(example))
    assert "aten.slice_scatter.default" in {str(node.target) for node in graph.graph.nodes}


def test_an_input_that_is_assigned_into_is_still_refused():
    class Input(nn.Module):
        def forward(self, x):
            x[:, 0] = 1.0
            return x * 2

    with pytest.raises(ConversionError, match="changes an input in place"):
        capture(Input(), [torch.randn(1, 3, 4, 4)])


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)
