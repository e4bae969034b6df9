"""Compressed weights: what the file holds is what the scheme's rule gives, and small ones stay."""

import numpy as np
import pytest
import torch
from torch import nn

from exporters.coreml.interface import in_file
from exporters.coreml.read import read_program
from exporters.coreml.write import write_package
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.quantization.grid import weight_grid
from mocovit_deploy.spec import TensorSpec

pytestmark = pytest.mark.slow

X = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.small, self.large = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 64, 3)

    def forward(self, x):
        return self.large(torch.relu(self.small(x)))


def weights_of(folder, recipe):
    """The constants of the file's convolutions, the smaller one first, and the network."""
    network = Net().eval()
    path = folder / "net.mlpackage"
    outputs = (TensorSpec("y", (1, 64, 6, 6), "float32"),)
    inputs = in_file((TensorSpec("x", (1, 3, 8, 8), "float32", "nchw"),))
    write_package(capture(network, (X,)), (X,), path, recipe=recipe, inputs=inputs, outputs=outputs)
    program = read_program(path)
    layers = [one for one in program.operations if one.kind == "conv"]
    found = [program.constants[one.operands["weight"]] for one in layers]
    return *sorted(found, key=np.size), network


def test_int8_weights_are_those_of_the_schemes_rule(tmp_path):
    small, large, network = weights_of(tmp_path, "weight_only_wi8_afp32")
    assert np.array_equal(small, network.small.weight.detach().numpy()), "too small to save anything"
    numbers = network.large.weight.detach().numpy()
    grid = weight_grid(numbers, 0)
    steps = np.array(grid.scale).reshape(-1, 1, 1, 1)
    assert np.abs(large - grid.real(grid.rounded(numbers))).max() <= steps.max() * 1.01
    assert np.abs(large - numbers).max() <= steps.max() * 0.51
    assert max(len(np.unique(channel)) for channel in large) <= 255


def test_a_palette_has_64_numbers(tmp_path):
    small, large, network = weights_of(tmp_path, "weight_only_wp6_afp16")
    assert len(np.unique(large)) <= 64
    numbers = network.large.weight.detach().numpy()
    assert 20 * np.log10(np.linalg.norm(numbers) / np.linalg.norm(large - numbers)) > 25
    assert np.allclose(small, network.small.weight.detach().numpy(), atol=1e-3)
