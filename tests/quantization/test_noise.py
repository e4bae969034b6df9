"""What int8 adds to each operation by itself."""

import numpy as np
import torch
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.grid import activation_grid, weight_grid
from mocovit_deploy.quantization.noise import on_grid, relative_noise
from mocovit_deploy.quantization.observe import observe
from mocovit_deploy.quantization.scheme import scheme_of


def test_on_grid_is_what_the_grid_rounds_to():
    values = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    for grid in (activation_grid((-1.0, 2.0)), weight_grid(values.numpy(), 1)):
        assert np.allclose(on_grid(values, grid).numpy(), grid.real(grid.rounded(values.numpy())), atol=1e-7)


class Spiked(nn.Module):
    """A sum with a constant that is 0 but for one large number."""

    def __init__(self):
        super().__init__()
        spike = torch.zeros(4096)
        spike[0] = 1000.0
        self.register_buffer("spike", spike)

    def forward(self, x):
        return torch.relu(x), torch.tanh(x), x + self.spike


def test_an_operation_whose_range_one_number_stretches_is_the_noisy_one():
    x = torch.randn(1, 4096, generator=torch.Generator().manual_seed(0))
    graph = capture(Spiked().eval(), (x,))
    images = CalibrationSet("test", {"x": x.numpy()[None]}, "")
    noise = relative_noise(graph, scheme_of(graph, observe(graph, images), "minmax"), images)
    assert set(noise) == {"relu", "tanh", "add"}
    assert np.isclose(np.median(list(noise.values())), 1.0)
    assert noise["add"] > 10
