"""split_last_row: what it does, and where it must do nothing."""

import pytest
import torch
from networks import Lambda, picture
from rewriting import operations, rewritten
from torch import nn
from torch.nn import functional as F

from exporters.tflite.direct.write import written
from exporters.tflite.lowering.split_last_row import split_last_row
from mocovit_deploy.spec import TensorSpec

WIDE = 160


def layers(channels=WIDE):
    return {
        "up": nn.Conv2d(3, channels, 1),
        "first": nn.Conv2d(channels, channels, 1),
        "second": nn.Conv2d(channels, channels, 1),
        "each": nn.Conv2d(channels, channels, 3, 1, 1, groups=channels),
        "dense": nn.Conv2d(channels, channels, 3, 1, 1),
        "strided": nn.Conv2d(channels, channels, 1, 2),
    }


def both(s, y):
    return s.second(y) + s.each(y)


def changed(forward, size=7, channels=WIDE, batch=1):
    x = picture(size=size).expand(batch, -1, -1, -1).clone()
    return rewritten(Lambda(lambda s, x: forward(s, s.up(x)), **layers(channels)), x, split_last_row)


@pytest.mark.parametrize(
    ("forward", "convolutions", "slices", "concats"),
    [
        pytest.param(lambda s, x: s.first(x), 3, 2, 1, id="a layer"),
        pytest.param(lambda s, x: s.second(F.relu(s.first(x))), 5, 2, 1, id="two, activated"),
        pytest.param(
            lambda s, x: s.second(s.each(F.hardswish(s.first(x)))), 6, 4, 2, id="a whole image between"
        ),
        pytest.param(lambda s, x: s.first(x) + s.second(x), 5, 2, 1, id="a sum of two"),
        pytest.param(lambda s, x: s.first(x) + x, 3, 2, 1, id="a sum with a whole image"),
        pytest.param(lambda s, x: s.first(x) * 2 + 1, 3, 2, 1, id="numbers"),
        pytest.param(lambda s, x: both(s, s.first(x)), 6, 2, 2, id="read in pieces and as an image"),
        pytest.param(
            lambda s, x: s.first(x) * s.second(x).mean((2, 3), keepdim=True), 5, 2, 2, id="a mean and a gate"
        ),
    ],
)
def test_the_last_row_is_computed_apart(forward, convolutions, slices, concats):
    result = changed(forward)
    found = operations(result.graph)
    assert (found["conv2d"], found["slice"], found["cat"]) == (convolutions, slices, concats)
    assert all(change.what == "49 pixels as 48 and 1" for change in result.changes)


@pytest.mark.parametrize(
    ("forward", "how"),
    [
        pytest.param(lambda s, x: s.first(x), {"size": 8}, id="four of 64 pixels are over"),
        pytest.param(lambda s, x: s.first(x), {"size": 6}, id="no pixel is over"),
        pytest.param(lambda s, x: s.first(x), {"size": 1}, id="one pixel"),
        pytest.param(lambda s, x: s.first(x), {"channels": 64}, id="copies that cost more"),
        pytest.param(lambda s, x: s.first(x), {"batch": 2}, id="two images"),
        pytest.param(lambda s, x: s.dense(x), {}, id="3x3"),
        pytest.param(lambda s, x: s.each(x), {}, id="depthwise"),
        pytest.param(lambda s, x: s.strided(x), {"size": 13}, id="a stride"),
        pytest.param(lambda s, x: F.relu(x) + x, {}, id="no layer"),
    ],
)
def test_other_layers_stay(forward, how):
    assert not changed(forward, **how).changes


def test_a_size_that_is_left_to_the_caller_stays():
    network = Lambda(lambda s, x: s.first(s.up(x)), **layers()).eval()
    free = torch.export.Dim("n", min=1, max=8)
    program = torch.export.export(network, (torch.zeros(2, 3, 7, 7),), dynamic_shapes=({0: free},))
    assert not split_last_row(program.module()).changes


def file_of_a_layer():
    graph = changed(lambda s, x: s.first(x)).graph
    sides = TensorSpec("x", (1, 7, 7, 3), "float32", "nhwc"), TensorSpec("y", (1, WIDE, 7, 7), "float32")
    return written(graph, [sides[0]], [sides[1]])


def test_the_gpu_delegate_takes_the_pieces():
    """It cuts tensors of 3 or 4 dimensions alone."""
    from ai_edge_litert import schema_py_generated as schema

    model = file_of_a_layer()
    graph = model.subgraphs[0]
    codes = [one.builtinCode for one in model.operatorCodes]
    cut = [one for one in graph.operators if codes[one.opcodeIndex] == schema.BuiltinOperator.SLICE]
    assert [list(graph.tensors[one.inputs[0]].shape) for one in cut] == [[1, 49, WIDE]] * 2


def test_both_pieces_read_the_same_weights():
    model = file_of_a_layer()
    stored = [len(one.data) for one in model.buffers if one.data is not None]
    assert stored.count(WIDE * WIDE * 4) == 1
