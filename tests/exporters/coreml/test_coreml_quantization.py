from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from exporters.coreml.execute import execute
from exporters.coreml.interface import in_file
from exporters.coreml.read import read_program
from exporters.coreml.run import named_arithmetic
from exporters.coreml.write import write_package
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.noise import on_grid
from mocovit_deploy.quantization.observe import observe
from mocovit_deploy.quantization.scheme import scheme_of
from mocovit_deploy.spec import TensorSpec


@pytest.mark.parametrize("zero", [-128, 7], ids=["positive", "both-signs"])
def test_numbers_are_rounded_to_a_grid_and_clipped(zero, agree, draw):
    """Halves to even: 0.0625 and 0.1875 of a scale of 0.125 go to 0 and 2 steps."""
    scale = 0.125
    x = np.concatenate([draw((64,), -40, 40), [0.0625, 0.1875, -0.0625]]).astype(np.float32)

    def build(mb, const, x):
        steps = mb.quantize(input=x, scale=const(scale), zero_point=np.int8(zero), output_dtype="int8")
        return mb.dequantize(input=steps, scale=const(scale), zero_point=np.int8(zero))

    agree(
        [x],
        build,
        lambda const, x: (torch.clamp(torch.round(x / scale) + zero, -128, 127) - zero) * scale,
        target="iOS17",
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)

    def forward(self, image):
        a = torch.relu(self.first(image))
        return self.second(a) + a


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "arithmetic"), [("static_wi8_ai8", "int8"), ("static_wi8_ai8_fp16", "int8 and fp16")]
)
def test_a_file_computes_what_the_scheme_says(tmp_path, recipe, arithmetic):
    """Every input of a convolution or a sum is on the scheme's grid; weights as few as these stay."""
    network, x = Net().eval(), torch.randn(4, 1, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    graph = capture(network, (x[0],))
    scheme = scheme_of(graph, observe(graph, CalibrationSet("test", {"image": x.numpy()}, "")), "minmax")
    inputs = in_file((TensorSpec("picture", (1, 3, 10, 10), "float32", "nchw"),))
    outputs = (TensorSpec("y", (1, 8, 8, 8), "float32"),)
    path = tmp_path / "net.mlpackage"
    written = write_package(
        graph, (x[0],), path, recipe=recipe, inputs=inputs, outputs=outputs, scheme=scheme
    )
    assert written.int8_operations == {"conv": 2, "add": 1}
    program = read_program(path)
    assert named_arithmetic(program) == arithmetic
    found = execute(program, {"picture": x[1].numpy()}, program.arithmetic)["y"]
    names = {node.name: scheme.values[node.name] for node in graph.graph.nodes if node.name in scheme.values}
    with torch.no_grad():
        image = on_grid(x[1], names["image"])
        a = torch.relu(nn.functional.conv2d(image, network.first.weight, network.first.bias))
        a = on_grid(a, names["relu"])
        b = on_grid(nn.functional.conv2d(a, network.second.weight, network.second.bias), names["conv2d_1"])
        expected = (a + b).numpy()
    steps = names["conv2d_1"].scale[0] + names["relu"].scale[0]
    error = np.abs(found - expected)
    assert error.max() <= 1.01 * steps, "a number at the middle between two steps may go to either"
    assert np.median(error) < steps / 100
    assert np.abs(found - network(x[1]).detach().numpy()).max() > 1e-3, "nothing was rounded"
