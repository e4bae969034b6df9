"""The float64 original, against computations by other means."""

import numpy as np
import pytest
import torch
from torch import nn

from mocovit_deploy.models.double import rounding_of


class Casts(nn.Module):
    """Fixes float32 in each way that code can: a cast, a dtype, a tensor that is no buffer, autocast off."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 4)
        self.scale = torch.tensor([0.1, 0.2, 0.3, 0.4])

    def forward(self, x):
        with torch.autocast("cpu", enabled=False):
            x = self.linear(x.float() / 3)
        grid = torch.linspace(0, 1, 4, dtype=torch.float32)
        y = (x * self.scale + grid.to(x.dtype)).softmax(-1)
        return {"y": y.to(torch.float32) / 7, "class": y.argmax(-1), "scale": self.scale}


def by_hand(module, x):
    linear, scale = module.linear, module.scale.double()
    x = x.double() / 3 @ linear.weight.double().T + linear.bias.double()
    return (x * scale + torch.linspace(0, 1, 4, dtype=torch.float64)).softmax(-1) / 7


@pytest.fixture
def inputs():
    return np.random.default_rng(0).normal(size=(3, 2, 6)).astype(np.float32)


def run(module, inputs):
    with torch.no_grad():
        runs = [tuple(module(torch.from_numpy(x)).values()) for x in inputs]
    return [np.stack([leaf.numpy() for leaf in column]) for column in zip(*runs, strict=True)]


def test_float64_however_the_code_fixes_float32(inputs):
    torch.manual_seed(0)
    module = Casts().eval()
    outputs = run(module, inputs)
    rounding, why_not = rounding_of(module, (inputs,), outputs)
    assert why_not == ""
    assert list(rounding) == [0, 2], "classes are integers and have no rounding"
    assert not rounding[2].any()
    with torch.no_grad():
        expected = np.stack([by_hand(module, torch.from_numpy(x)).numpy() for x in inputs])
    exact = outputs[0].astype(np.float64) + rounding[0]
    assert np.abs(exact - expected).max() < 1e-14
    assert 1e-9 < np.abs(rounding[0]).max() < 1e-7


def test_the_module_and_torchs_default_stay_as_they_are(inputs):
    module = Casts().eval()
    before = run(module, inputs)
    rounding_of(module, (inputs,), before)
    assert torch.get_default_dtype() == torch.float32
    assert {tensor.dtype for tensor in (*module.parameters(), module.scale)} == {torch.float32}
    assert all(np.array_equal(a, b) for a, b in zip(before, run(module, inputs), strict=True))


class OnlyFloat32(nn.Module):
    def forward(self, x):
        if x.dtype != torch.float32:
            raise TypeError("float32 or nothing")
        return {"y": x * 2}


class Bytes(nn.Module):
    """Takes numbers apart, and has twice as many bytes in float64."""

    def forward(self, x):
        return {"y": x.view(torch.uint8).float()}


class Overflowing(nn.Module):
    def forward(self, x):
        return {"y": x if x.dtype == torch.float32 else x / 0}


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (OnlyFloat32(), "TypeError: float32 or nothing"),
        (Bytes(), "its outputs have other shapes in float64"),
        (Overflowing(), "it computes NaN or infinity in float64"),
    ],
)
def test_a_network_that_has_no_float64_says_why(module, reason, inputs):
    assert rounding_of(module, (inputs,), run(module, inputs)) == ({}, reason)
