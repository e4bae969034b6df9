"""int8 ONNX files: what is rounded, what is stored, and that it is what ONNX defines."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from exporters.onnx.quantize import quantize
from exporters.onnx.run import session
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.observe import observe
from mocovit_deploy.quantization.scheme import scheme_of, with_input_means

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        y = torch.relu(self.a(x))
        joined = torch.cat([y, self.b(y)], 1)
        return self.head(joined.mean((2, 3)))


def float_model():
    """The network as a converter writes it, and the marks of its values."""
    helper, network = onnx.helper, Net().eval()
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    tensors["axes"] = np.array([2, 3], np.int64)
    nodes = [
        helper.make_node("Conv", ["x", "a.weight", "a.bias"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["y"]),
        helper.make_node("Conv", ["y", "b.weight", "b.bias"], ["c2"], pads=[1, 1, 1, 1], group=4),
        helper.make_node("Concat", ["y", "c2"], ["joined"], axis=1),
        helper.make_node("ReduceMean", ["joined", "axes"], ["m"], keepdims=0),
        helper.make_node("Gemm", ["m", "head.weight", "head.bias"], ["out"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", 1, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("out", 1, [1, 5])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    names = {"c1": "conv2d", "y": "relu", "c2": "conv2d_1", "joined": "cat", "m": "mean", "out": "linear"}
    return model, {value: f"net:{operation}" for value, operation in names.items()}, network


def quantized(*, weights_only=False, correct=False):
    model, marks, network = float_model()
    graph = capture(network, (X,))
    images = CalibrationSet("test", {"x": X.numpy()[None]}, "")
    observed = observe(graph, images)
    scheme = scheme_of(graph, observed, "minmax")
    scheme = with_input_means(scheme, graph, observed) if correct else scheme
    counts = quantize(model, scheme, marks, {"x": "x"}, weights_only=weights_only)
    onnx.checker.check_model(model, full_check=True)
    return model, counts, network


def run(model):
    return session(model.SerializeToString(), "test")[0].run(None, {"x": X.numpy()})[0]


def sqnr_db(model, network):
    expected = network(X).detach().numpy()
    return 10 * np.log10((expected**2).sum() / ((run(model) - expected) ** 2).sum())


@pytest.mark.parametrize("weights_only", [False, True])
def test_the_file_is_near_the_network_and_is_what_onnx_defines(weights_only):
    model, _, network = quantized(weights_only=weights_only)
    assert sqnr_db(model, network) > 30
    (reference,) = ReferenceEvaluator(model).run(None, {"x": X.numpy()})
    assert np.allclose(run(model), reference, atol=2e-2 * np.abs(reference).max())


def test_values_are_rounded_once_and_results_not():
    model, counts, _ = quantized()
    rounded = [node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert sorted(rounded) == ["c2", "joined", "m", "x", "y"]
    readers = [node for node in model.graph.node if "y/rounded" in node.input]
    assert {node.op_type for node in readers} == {"Conv", "Concat"}
    assert counts["int8"] == {"Conv": 2, "Relu": 1, "Concat": 1, "Gemm": 1}
    assert counts["float"] == {"ReduceMean": 1}


def test_what_is_joined_shares_a_grid():
    model, _, _ = quantized()
    stored = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    assert stored["y/scale"] == stored["c2/scale"] == stored["joined/scale"]


def test_weights_are_int8_for_each_channel_and_no_float_ones_are_left():
    model, _, network = quantized()
    stored = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    assert not {"a.weight", "b.weight", "head.weight", "a.bias"} & set(stored)
    weights = stored["a.weight/int8/c1"]
    assert weights.dtype == np.int8
    scale = stored["a.weight/int8/c1/scale"].reshape(-1, 1, 1, 1)
    assert np.abs(weights * scale - network.a.weight.detach().numpy()).max() <= scale.max() / 2 + 1e-7
    assert stored["a.bias/int32/c1"].dtype == np.int32


def test_only_weights_are_stored_where_only_they_are_asked_for():
    model, _, _ = quantized(weights_only=True)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") == 0
    assert kinds.count("DequantizeLinear") == 3


def test_corrected_biases_take_the_mean_error_off():
    def means(model):
        graph = onnx.shape_inference.infer_shapes(model)
        value = next(one for one in graph.graph.value_info if one.name == "c2")
        graph.graph.output.append(value)
        found = session(graph.SerializeToString(), "test")[0].run(["c2"], {"x": X.numpy()})[0]
        return found.mean((0, 2, 3))

    plain, _, network = quantized()
    corrected, _, _ = quantized(correct=True)
    with torch.no_grad():
        expected = network.b(torch.relu(network.a(X))).mean((0, 2, 3)).numpy()
    assert np.abs(means(corrected) - means(plain)).max() > 0
    assert np.abs(means(corrected) - expected).max() < 0.02


def test_a_scale_that_is_wrong_shows():
    model, _, network = quantized()
    place = next(one for one in model.graph.initializer if one.name == "b.weight/int8/c2/scale")
    place.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(place) * 2, place.name))
    assert sqnr_db(model, network) < 20
