"""double_ghost and sink_concat: what they do, and where they must do nothing."""

import pytest
import torch
from networks import Lambda, picture
from rewriting import operations, rewritten
from torch import nn
from torch.nn import functional as F

from exporters.tflite.lowering.double_ghost import double_ghost
from exporters.tflite.lowering.sink_concat import sink_concat


def ghost(self, x, act=F.relu):
    first = act(self.dense(x))
    return torch.cat((first, act(self.cheap(first))), 1)


def ghost_layers(channels, kernel=3, stride=1):
    padding = kernel // 2
    return {
        "dense": nn.Conv2d(3, channels, 1),
        "cheap": nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels),
        "last": nn.Conv2d(2 * channels, 5, 1),
        "wide": nn.Conv2d(2 * channels, 4 * channels, 1),
        "down": nn.Conv2d(2 * channels, 2 * channels, 3, 2, 1, groups=2 * channels),
        "dense3": nn.Conv2d(2 * channels, 5, 3),
        "reduce": nn.Conv2d(2 * channels, 4, 1),
        "expand": nn.Conv2d(4, 2 * channels, 1),
    }


def beside(y, first, second):
    return torch.cat((first(y), second(y)), 1)


def added(y, layer):
    return layer(y) + y[:, :5]


def gated_otherwise(self, y):
    return y * torch.sigmoid(self.down(y).mean((2, 3), keepdim=True))


def squeezed(self, x):
    return x * F.hardsigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


@pytest.mark.parametrize("act", [F.relu, lambda x: x], ids=["relu", "linear"])
def test_a_narrow_ghost_module_is_doubled(act):
    network = Lambda(lambda s, x: ghost(s, x, act), **ghost_layers(8, kernel=5))
    result = rewritten(network, picture(size=8), double_ghost)
    assert operations(result.graph)["cat"] == 0
    assert operations(result.graph)["conv2d"] == 2


@pytest.mark.parametrize(
    ("forward", "channels"),
    [
        pytest.param(ghost, 9, id="more channels"),
        pytest.param(lambda s, x: ghost(s, x, F.silu), 8, id="an activation that differs when applied twice"),
        pytest.param(lambda s, x: beside(F.relu(s.dense(x)), nn.Identity(), s.cheap), 8, id="one activation"),
        pytest.param(lambda s, x: beside(s.dense(x), s.cheap, nn.Identity()), 8, id="the other way round"),
        pytest.param(
            lambda s, x: torch.cat((s.dense(x), s.cheap(s.dense(x) * 2)), 1), 8, id="of another value"
        ),
    ],
)
def test_other_concats_are_not_doubled(forward, channels):
    assert not rewritten(Lambda(forward, **ghost_layers(channels)), picture(size=8), double_ghost).changes


@pytest.mark.parametrize(
    ("forward", "convolutions"),
    [
        pytest.param(lambda s, x: s.last(ghost(s, x)), 4, id="concat, convolution"),
        pytest.param(lambda s, x: s.last(s.down(ghost(s, x))), 6, id="through a depthwise convolution"),
        pytest.param(lambda s, x: s.last(squeezed(s, ghost(s, x))), 7, id="through squeeze-and-excite"),
        pytest.param(lambda s, x: s.last(squeezed(s, s.down(ghost(s, x)))), 9, id="through both"),
        pytest.param(lambda s, x: F.relu(s.last(ghost(s, x, F.silu))), 4, id="any activation"),
    ],
)
def test_a_concat_sinks(forward, convolutions):
    result = rewritten(Lambda(forward, **ghost_layers(6)), picture(size=8), sink_concat)
    assert len(result.changes) == 1
    assert operations(result.graph)["conv2d"] == convolutions
    images = [n for n in result.graph.graph.nodes if "cat" in str(n.target) and n.meta["val"].shape[2] > 1]
    assert not images, "only means of squeeze-and-excite may be concatenated"


@pytest.mark.parametrize(
    "forward",
    [
        pytest.param(lambda s, x: added(ghost(s, x), s.last), id="read by something else"),
        pytest.param(lambda s, x: s.wide(ghost(s, x)), id="more outputs than inputs"),
        pytest.param(lambda s, x: s.dense3(ghost(s, x)), id="a dense convolution of 3x3"),
        pytest.param(lambda s, x: s.last(F.relu(ghost(s, x))), id="an activation in between"),
        pytest.param(
            lambda s, x: s.last(gated_otherwise(s, ghost(s, x))),
            id="a gate of another kind",
        ),
        pytest.param(lambda s, x: s.last(torch.cat((x, x, ghost(s, x)[:, 6:]), 1)), id="three parts"),
    ],
)
def test_other_concats_stay(forward):
    assert not rewritten(Lambda(forward, **ghost_layers(6)), picture(size=8), sink_concat).changes
