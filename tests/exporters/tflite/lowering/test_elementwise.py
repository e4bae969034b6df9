"""silu_by_tanh, pool_global_mean and transpose_once: what they do, and where they must do nothing."""

import pytest
import torch
from networks import Lambda, picture
from rewriting import operations, rewritten
from torch import nn
from torch.nn import functional as F

from exporters.tflite.lowering.pool_global_mean import SIDE, pool_global_mean, windows
from exporters.tflite.lowering.silu_by_tanh import silu_by_tanh
from exporters.tflite.lowering.transpose_once import transpose_once


def silu_beside(y):
    return F.silu(y) + y


def test_silu_by_tanh():
    network = Lambda(lambda s, x: F.silu(s.conv(x)), conv=nn.Conv2d(3, 4, 1))
    found = operations(rewritten(network, picture(size=4), silu_by_tanh).graph)
    assert found["silu"] == 0
    assert found["tanh"] == 1


@pytest.mark.parametrize(
    "forward",
    [
        pytest.param(lambda s, x: F.silu(x), id="of an input"),
        pytest.param(lambda s, x: silu_beside(s.conv(x)), id="read by something else"),
        pytest.param(lambda s, x: F.silu(s.conv(x).mean(1)), id="of a mean"),
    ],
)
def test_silu_stays(forward):
    assert not rewritten(Lambda(forward, conv=nn.Conv2d(3, 4, 1)), picture(size=4), silu_by_tanh).changes


@pytest.mark.parametrize(("height", "width"), [(7, 7), (14, 14), (56, 28), (112, 112), (1, 5), (64, 3)])
def test_windows_pool_to_one_value(height, width):
    for window in windows(height, width):
        assert 1 < window[0] * window[1] <= SIDE * SIDE
        assert height % window[0] == 0
        assert width % window[1] == 0
        height, width = height // window[0], width // window[1]
    assert (height, width) == (1, 1)


@pytest.mark.parametrize(
    "forward", [lambda s, x: x.mean((2, 3), keepdim=True), lambda s, x: F.adaptive_avg_pool2d(x, 1)]
)
def test_a_global_mean_is_pooled(forward):
    found = operations(rewritten(Lambda(forward), picture(size=28), pool_global_mean).graph)
    assert found == {"avg_pool2d": 2}


@pytest.mark.parametrize(
    ("forward", "size"),
    [
        pytest.param(lambda s, x: x.mean((2, 3), keepdim=True), 19, id="a prime size"),
        pytest.param(lambda s, x: x.mean((2, 3)), 28, id="axes lost"),
        pytest.param(lambda s, x: x.mean((1, 2), keepdim=True), 28, id="other axes"),
        pytest.param(lambda s, x: F.adaptive_avg_pool2d(x, 2), 28, id="to 2x2"),
    ],
)
def test_a_mean_stays(forward, size):
    assert not rewritten(Lambda(forward), picture(size=size), pool_global_mean).changes


def test_transpose_once():
    def forward(self, x):
        q, k, v = x.reshape(1, 2, 6, 16).transpose(-1, -2).chunk(3, -1)
        return q @ (k.transpose(-1, -2) @ v)

    found = operations(rewritten(Lambda(forward), picture(channels=12, size=4), transpose_once).graph)
    assert found["clone"] == 1


@pytest.mark.parametrize(
    "forward",
    [
        pytest.param(lambda s, x: torch.cat(x.chunk(3, 1), 2), id="of an image"),
        pytest.param(lambda s, x: torch.cat(x.flatten(2).transpose(1, 2).chunk(3, -1), 1), id="of tokens"),
    ],
)
def test_other_chunks_stay(forward):
    assert not rewritten(Lambda(forward), picture(channels=12, size=4), transpose_once).changes
