"""What is said of partitions is what LiteRT does."""

import torch
from direct_files import Calling
from torch import nn

from exporters.tflite.direct.write import written
from exporters.tflite.execution import execution_of
from exporters.tflite.flatbuffer import model_bytes
from exporters.tflite.reference.program import program_of
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.spec import TensorSpec


def opened(model):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model_bytes(model))
    interpreter.allocate_tensors()
    return interpreter


def delegates(model):
    return sum(one["op_name"] == "DELEGATE" for one in opened(model)._get_ops_details())


def tables(forward, dtype=torch.float32):
    layers = {"first": nn.Conv2d(3, 4, 1), "second": nn.Conv2d(4, 2, 1)}
    graph = capture(Calling(forward, **layers).eval(), [torch.ones(1, 3, 4, 4, dtype=dtype)])
    name = str(dtype).removeprefix("torch.")
    specs = TensorSpec("image", (1, 4, 4, 3), name, "nhwc"), TensorSpec("out", (1, 2, 4, 4), "float32")
    return written(graph, specs[:1], specs[1:])


def test_one_partition_with_nothing_outside():
    model = tables(lambda m, x: m.second(m.first(x).relu()))
    said = execution_of(program_of(model))
    assert (said["partitions"], said["outside"]) == (1, [])
    assert said["transposes"] == 1  # the output, as PyTorch has it
    assert delegates(model) == 1


def test_an_operator_outside_is_named_with_its_module_and_the_reason():
    model = tables(lambda m, x: m.second(m.first(x).abs() ** 1.7))
    said = execution_of(program_of(model))
    assert said["partitions"] == delegates(model) == 2
    assert [(one["kind"], one["why"]) for one in said["outside"]] == [
        ("POW", "XNNPACK's delegate takes no POW")
    ]
    assert said["outside"][0]["where"] == "(network)"


def test_the_cast_of_pixels_is_outside_as_litert_has_it():
    model = tables(lambda m, x: m.second(m.first(x.float())), torch.uint8)
    said = execution_of(program_of(model))
    assert said["partitions"] == delegates(model) == 1
    (one,) = said["outside"]
    assert one["kind"] == "CAST"
    assert "converts the input to floats" in one["why"]
    interpreter = opened(model)
    (cast, *_), (piece,) = (
        [step for step in interpreter._get_ops_details() if step["op_name"] == kind]
        for kind in ("CAST", "DELEGATE")
    )
    assert cast["outputs"][0] in piece["inputs"]
    assert cast["inputs"][0] not in piece["inputs"]
