"""Mean errors of layers, against the layers themselves on constant inputs."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from exporters.tflite.quantized.bias import mean_error

torch.manual_seed(0)
MEANS = torch.randn(6)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_convolutions(groups):
    error = torch.randn(12, 6 // groups, 3, 3)
    expected = F.conv2d(MEANS.reshape(1, 6, 1, 1).expand(1, 6, 3, 3), error, groups=groups).flatten()
    kind = "DEPTHWISE_CONV_2D" if groups == 6 else "CONV_2D"
    stored = error.permute(1, 2, 3, 0) if groups == 6 else error.permute(0, 2, 3, 1)
    assert np.allclose(mean_error(kind, stored.numpy(), MEANS.numpy()), expected, atol=1e-5)


def test_dense_layers():
    error = torch.randn(4, 6)
    found = mean_error("FULLY_CONNECTED", error.numpy(), MEANS.numpy())
    assert np.allclose(found, F.linear(MEANS, error), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("FULLY_CONNECTED", (4, 5)),
        ("CONV_2D", (4, 1, 1, 5)),
        ("DEPTHWISE_CONV_2D", (1, 1, 1, 7)),
        ("TRANSPOSE_CONV", (6, 1, 1, 6)),
    ],
)
def test_what_does_not_fit_is_left_alone(kind, shape):
    assert mean_error(kind, np.ones(shape, np.float32), MEANS.numpy()) is None
