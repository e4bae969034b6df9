"""What a quantized ONNX file rounds."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")


def model(scale, zero, inputs=3):
    helper, arrays = onnx.helper, onnx.numpy_helper
    names = ["x", "scale", "zero"][:inputs]
    nodes = [
        helper.make_node("QuantizeLinear", names, ["q"]),
        helper.make_node("DequantizeLinear", ["q", *names[1:]], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in "xy"]
    constants = [arrays.from_array(np.asarray(scale, np.float32), "scale"), arrays.from_array(zero, "zero")]
    return helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], constants))


def pairs(*how):
    from exporters.onnx.rounding import pairs_of

    return pairs_of(model(*how))


def test_a_pair_has_the_levels_of_its_numbers():
    levels = pairs(0.5, np.array(3, np.int8))["x"].levels
    assert (levels.low, levels.high, levels.step) == (-65.5, 62.0, 0.5)


@pytest.mark.parametrize(
    "how",
    [([0.5, 0.25], np.zeros(2, np.int8)), (0.5, np.array(0, np.int8), 2), (0.5, np.array(0.0, np.float32))],
    ids=["a scale for each channel", "no zero point", "no whole numbers"],
)
def test_other_pairs_are_left_out(how):
    assert pairs(*how) == {}
