"""unstride_depthwise: what it does, and where it must do nothing."""

import pytest
from networks import Lambda, picture
from rewriting import operations, rewritten
from torch import nn

from exporters import onnx
from exporters.onnx.lowering.unstride_depthwise import unstride_depthwise
from mocovit_deploy.passes.run import rewrite

CHANNELS = 4


def depthwise(kernel, padding, stride=2, **options):
    layer = nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, padding, groups=CHANNELS, **options)
    return Lambda(lambda s, x: s.conv(x), conv=layer)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "padding", "convolutions"),
    [(3, 1, 1), (5, 2, 4), ((5, 3), (2, 1), 4), (4, 1, 4), (2, 0, 4)],
)
def test_stride_2_becomes_stride_1(kernel, padding, convolutions, bias):
    network = depthwise(kernel, padding, bias=bias)
    result = rewritten(network, picture(channels=CHANNELS, size=8), unstride_depthwise)
    assert [change.where for change in result.changes] == ["conv"]
    assert operations(result.graph)["conv2d"] == convolutions
    for node in result.graph.graph.nodes:
        if "conv2d" in str(node.target):
            assert tuple(node.args[3]) == (1, 1)


@pytest.mark.parametrize(
    ("network", "size"),
    [
        pytest.param(depthwise(3, 1, stride=1), 8, id="stride 1"),
        pytest.param(depthwise(3, 1, stride=(2, 1)), 8, id="stride 2 by 1"),
        pytest.param(depthwise(3, 1), 9, id="an odd size"),
        pytest.param(depthwise(7, 3), 8, id="a kernel that reaches three rows"),
        pytest.param(depthwise(3, 2, dilation=2), 8, id="dilation"),
        pytest.param(depthwise(3, 0), 8, id="an output of another size"),
        pytest.param(Lambda(lambda s, x: s.conv(x), conv=nn.Conv2d(4, 4, 3, 2, 1)), 8, id="all channels"),
        pytest.param(
            Lambda(lambda s, x: s.conv(x), conv=nn.Conv2d(4, 8, 3, 2, 1, groups=4)), 8, id="widening"
        ),
    ],
)
def test_other_convolutions_stay(network, size):
    assert not rewritten(network, picture(channels=CHANNELS, size=size), unstride_depthwise).changes


def test_fp32_files_get_it():
    assert unstride_depthwise in map(rewrite, onnx.lowerings("fp32"))
    assert unstride_depthwise not in map(rewrite, onnx.lowerings("fp16")), "it has kernels of its own"
