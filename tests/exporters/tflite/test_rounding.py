"""What a TFLite file rounds, read from its operators."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

from ai_edge_litert import schema_py_generated as schema
from tflite_builder import TfliteBuilder

from exporters.tflite.rounding import levels_of, roundings
from mocovit_deploy.artifacts.marks import RoundedRead
from mocovit_deploy.errors import ConversionError

MAP = (1, 4, 4, 2)


class Int8Builder(TfliteBuilder):
    """A builder whose tensors can be named and stored as int8."""

    def named(self, index: int, name: str) -> int:
        self.graph.tensors[index].name = name.encode()
        return index

    def as_int8(self, index: int, scale: float = 0.1, zero: int = 0) -> int:
        tensor, grid = self.graph.tensors[index], schema.QuantizationParametersT()
        grid.scale, grid.zeroPoint = np.array([scale], np.float32), np.array([zero])
        tensor.type, tensor.quantization = schema.TensorType.INT8, grid
        return index

    def weights(self) -> int:
        index = self.constant(np.ones((2, 1, 1, 2), np.float32))
        self.model.buffers[self.graph.tensors[index].buffer].data = np.ones(4, np.uint8)
        return self.as_int8(index)

    def found(self, output: int):
        self.file({"y": output}, half=False)
        names = {index: tensor.name.decode() for index, tensor in enumerate(self.graph.tensors)}
        return roundings(self.model, names)


@pytest.fixture
def built():
    return Int8Builder()


def test_a_read_behind_a_move_is_found(built):
    source = built.named(built.op("RELU", [built.input("x", MAP)], MAP), "a:relu")
    moved = built.op("RESHAPE", [source, built.constant([1, 4, 8])], (1, 4, 8))
    whole = built.as_int8(built.op("QUANTIZE", [moved], (1, 4, 8)))
    padded = built.as_int8(built.op("PAD", [whole, built.constant(np.zeros((3, 2)))], (1, 4, 8)))
    back = built.as_int8(built.op("RESHAPE", [padded, built.constant(MAP)], MAP))
    bias = built.constant(np.zeros(2, np.float32))
    made = built.as_int8(built.named(built.op("CONV_2D", [back, built.weights(), bias], MAP), "b:conv2d"))
    found = built.found(made)
    levels = levels_of(built.graph.tensors[whole])
    assert found["b:conv2d"].reads == (RoundedRead(("a:relu",), levels),)
    assert found["b:conv2d"].whole_weights
    assert not found["a:relu"].reads
    assert not found["a:relu"].whole_weights


def test_a_rounded_input_is_found_by_its_name(built):
    whole = built.as_int8(built.op("QUANTIZE", [built.named(built.input("x", MAP), "x")], MAP), 0.5, 3)
    made = built.as_int8(built.named(built.op("RELU", [whole], MAP), "a:relu"))
    (read,) = built.found(made)["a:relu"].reads
    assert read.source == ("x",)
    assert (read.levels.low, read.levels.step) == (-65.5, 0.5)


@pytest.mark.parametrize("widened", [False, True], ids=["dynamic", "weight_only"])
def test_float_operands_are_rounded_at_each_run_only_by_whole_weights(built, widened):
    source = built.named(built.op("RELU", [built.input("x", MAP)], MAP), "a:relu")
    weights = built.weights()
    if widened:
        weights = built.op("DEQUANTIZE", [weights], (2, 1, 1, 2))
    bias = built.constant(np.zeros(2, np.float32))
    made = built.named(built.op("CONV_2D", [source, weights, bias], MAP), "b:conv2d")
    found = built.found(made)["b:conv2d"]
    assert found.whole_weights
    assert found.reads == (() if widened else (RoundedRead(("a:relu",), None),))


def test_a_float_operator_rounds_nothing(built):
    source = built.named(built.op("RELU", [built.input("x", MAP)], MAP), "a:relu")
    weights, bias = built.constant(np.ones((2, 1, 1, 2))), built.constant(np.zeros(2))
    made = built.named(built.op("CONV_2D", [source, weights, bias], MAP), "b:conv2d")
    found = built.found(made)["b:conv2d"]
    assert (found.reads, found.whole_weights) == ((), False)


def test_a_tensor_that_is_made_of_itself_is_an_error(built):
    moved = built.op("RESHAPE", [built.input("x", MAP), built.constant(MAP)], MAP)
    made = built.named(built.op("RELU", [moved], MAP), "a:relu")
    built.graph.operators[0].inputs = np.array([moved, built.graph.operators[0].inputs[1]], np.int32)
    with pytest.raises(ConversionError, match="made of itself"):
        built.found(made)
