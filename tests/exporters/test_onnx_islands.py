"""What stays in fp32 in an fp16 ONNX file: layers that ONNX Runtime or half precision would get wrong."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from exporters.onnx.write import _in_half

CHANNELS = 8


def convolution(groups, outputs=CHANNELS):
    weight = np.zeros((outputs, CHANNELS // groups, 3, 3), np.float32)
    node = helper.make_node("Conv", ["x", "weight"], ["y"], "layer", group=groups, pads=[1, 1, 1, 1])
    return node, {"weight": weight}


def layer_norm():
    scale = np.ones(4, np.float32)
    return helper.make_node("LayerNormalization", ["x", "scale"], ["y"], "layer"), {"scale": scale}


def in_half(node, constants):
    shape = [1, CHANNELS, 4, 4]
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return _in_half(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))


def type_of_constant(model):
    (constant,) = model.graph.initializer
    return constant.data_type


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(convolution(2), id="two groups"),
        pytest.param(convolution(CHANNELS, 2 * CHANNELS), id="depthwise, two filters a channel"),
        pytest.param(layer_norm(), id="LayerNorm"),
    ],
)
def test_layers_that_stay_in_fp32(layer):
    assert type_of_constant(in_half(*layer)) == onnx.TensorProto.FLOAT


@pytest.mark.parametrize(
    "layer", [pytest.param(convolution(1), id="dense"), pytest.param(convolution(CHANNELS), id="depthwise")]
)
def test_other_layers_do_not(layer):
    assert type_of_constant(in_half(*layer)) == onnx.TensorProto.FLOAT16
