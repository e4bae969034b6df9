"""The scheme of a graph: who shares a range, whose grid is fixed, what saturates."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.observe import observe
from mocovit_deploy.quantization.scheme import scheme_of, shared_ranges


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x):
        joined = torch.cat([self.first(x), 10 * self.second(x)], 1)
        y = F.hardswish(self.last(joined)) * 4
        gate = torch.sigmoid(y.mean((2, 3), keepdim=True))
        return torch.cat([y * gate, gate.expand(-1, -1, 8, 8)], 1).flatten(1)


@pytest.fixture(scope="module")
def made():
    torch.manual_seed(0)
    net = Net().eval()
    runs = np.random.default_rng(0).standard_normal((5, 1, 3, 8, 8)).astype(np.float32)
    graph = capture(net, (torch.zeros(1, 3, 8, 8),))
    seen = observe(graph, CalibrationSet("test", {"x": runs}, ""))
    return graph, seen, scheme_of(graph, seen, "minmax")


def test_observed_extremes_are_those_of_the_values(made):
    graph, seen, _ = made
    (placeholder,) = [node.name for node in graph.graph.nodes if node.op == "placeholder"]
    assert seen[placeholder].lows.shape == (5,)
    assert seen[placeholder].high > 3
    assert seen[placeholder].channel_means.shape == (3,)
    assert seen["sigmoid"].low > 0
    assert all(one.counts.sum() > 0 for one in seen.values())


def test_what_is_joined_has_one_grid(made):
    _, seen, scheme = made
    assert scheme.values["conv2d"] == scheme.values["cat"] == scheme.values["mul"]
    low, high = scheme.values["cat"].bounds
    step = scheme.values["cat"].scale[0]
    assert low <= seen["mul"].low + step
    assert high >= seen["mul"].high - step


def test_fixed_grids_are_not_joined_with_others(made):
    _, _, scheme = made
    assert scheme.values["sigmoid"].scale == (1 / 256,)
    assert scheme.values["expand"] == scheme.values["sigmoid"]
    assert scheme.values["cat_1"] != scheme.values["sigmoid"]


def test_nothing_below_minus_three_matters_before_a_hard_swish(made):
    _, seen, scheme = made
    assert seen["conv2d_2"].low < -3
    assert scheme.values["conv2d_2"].bounds[0] == pytest.approx(-3, abs=scheme.values["conv2d_2"].scale[0])


def test_weights_are_described_by_their_parameter(made):
    _, _, scheme = made
    assert set(scheme.weights) == {"first.weight", "second.weight", "last.weight"}
    assert len(scheme.weights["last.weight"].scale) == 4


def test_groups_partition_the_values(made):
    graph, _, _ = made
    groups = shared_ranges(graph)
    names = [node.name for nodes in groups for node in nodes]
    assert sorted(names) == sorted(set(names))


def test_a_value_that_is_not_finite_has_no_grid():
    class Bad(nn.Module):
        def forward(self, x):
            return x / (x - x), x + 1

    graph = capture(Bad(), (torch.ones(1, 3, 4, 4),))
    seen = observe(graph, CalibrationSet("test", {"x": np.ones((2, 1, 3, 4, 4), np.float32)}, ""))
    scheme = scheme_of(graph, seen, "mse")
    assert "div" not in scheme.values
    assert "add" in scheme.values
