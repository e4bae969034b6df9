"""Quantized files: one partition, conversions at borders alone, and what would not load made to load."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from int8_files import Int8File
from tiny_networks import tiny
from torch import nn

from exporters.tflite.quantized.tables import Tables
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.passes.run import run_passes

X = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def conv(inputs=8, outputs=8, size=1, **how):
    torch.manual_seed(inputs)
    return nn.Conv2d(inputs, outputs, size, **how)


def whole(file):
    """Is it one partition with nothing outside?"""
    _, partitions, outside = file.run()
    return (partitions, outside) == (1, 0)


def test_a_network_with_everything_is_one_partition():
    file = Int8File(folded(tiny(), 32), X)
    assert whole(file)
    assert file.sqnr_db() > 15
    assert file.kinds["QUANTIZE"] + file.kinds["DEQUANTIZE"] < 12


def folded(network, size):
    """The network's graph after the passes."""
    example = (torch.zeros(1, 3, size, size),)
    return run_passes(capture(network, example), example).graph


def test_joined_values_are_not_converted():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = conv(3), conv(3), conv(16)

        def forward(self, x):
            return self.c(torch.cat([F.relu(self.a(x)), 7 * F.relu(self.b(x))], 1))

    file = Int8File(Net(), X)
    assert whole(file)
    assert file.sqnr_db() > 30
    assert (file.kinds["QUANTIZE"], file.kinds["DEQUANTIZE"]) == (1, 1)


def test_a_float_island_is_converted_once_on_each_side():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = conv(3), conv(), conv()

        def forward(self, x):
            y = F.hardswish(self.a(x))
            return self.b(y) + self.c(y)

    file = Int8File(Net(), X)
    assert whole(file)
    assert file.sqnr_db() > 30
    assert (file.kinds["QUANTIZE"], file.kinds["DEQUANTIZE"], file.kinds["HARD_SWISH"]) == (2, 2, 1)


def test_a_value_that_is_always_zero_and_dead_channels_with_a_bias():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = conv(3), conv()
            with torch.no_grad():
                self.a.bias.fill_(-100)  # after the relu nothing is left
                self.b.weight[2] = 0
                self.b.bias[2] = 5.0

        def forward(self, x):
            return self.b(F.relu(self.a(x))) + self.b(self.a(x) / 50)

    file = Int8File(Net(), X)
    assert whole(file)
    assert file.sqnr_db() > 30


def test_a_summand_of_a_much_smaller_scale_gets_one_that_xnnpack_takes():
    file = Int8File(_Small(), X)
    assert file.sqnr_db() > 35
    assert whole(file)


class _Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = conv(3), conv(3)
        with torch.no_grad():
            self.b.weight.mul_(1e-6)
            self.b.bias.mul_(1e-6)

    def forward(self, x):
        return self.a(x) + self.b(x)


def test_two_grids_for_one_value():
    """The product wants a zero point of 0, the layer takes the value as it is."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            y = F.relu(self.a(x))
            return y @ y.transpose(1, 2), self.b(y)

    file = Int8File(Net(), torch.randn(2, 5, 4), every=True)
    assert whole(file)
    assert file.sqnr_db() > 25
    assert file.kinds["BATCH_MATMUL"] == 1


def test_a_denominator_is_exact():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = conv(3)

        def forward(self, x):
            y = self.a(x)
            return y / (F.relu(y).mean((2, 3), keepdim=True) + 1e-4)

    file = Int8File(Net(), X)
    assert whole(file)
    float_kinds = {one.kind for one in file.tables.operators if one.index not in file.chosen}
    assert {"DIV", "ADD", "MEAN"} <= float_kinds


def test_a_normalization_stays_in_float():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.norm, self.b = nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 4)

        def forward(self, x):
            return self.b(self.norm(self.a(x)))

    file = Int8File(Net(), torch.randn(2, 5, 4))
    assert {one.kind for one in file.tables.operators if one.index in file.chosen} == {"FULLY_CONNECTED"}
    assert file.sqnr_db() > 28
    assert whole(file)


def test_sigmoid_gates():
    file = Int8File(lambda x: F.silu(x) + F.hardsigmoid(x) * x, X)
    assert whole(file)
    assert file.sqnr_db() > 30


@pytest.mark.parametrize("factor", [0.0, 3.0])
def test_a_layer_that_is_changed_shows(factor):
    """The mutation: one layer's weights of a quantized file, replaced."""
    file = Int8File(folded(tiny(), 32), X)
    before = file.sqnr_db()
    tables = Tables(file.model)
    layer = next(one for one in tables.operators if one.kind == "DEPTHWISE_CONV_2D")
    parameters = file.model.subgraphs[0].tensors[layer.inputs[1]].quantization
    parameters.scale = np.float32(parameters.scale * factor) if factor else parameters.scale * np.float32(0.1)
    from exporters.tflite.flatbuffer import model_bytes

    file.data = model_bytes(file.model)
    assert file.sqnr_db() < before - 6


def test_files_are_the_same_every_time():
    network = tiny()
    assert Int8File(network, X).data == Int8File(network, X).data


def test_bias_correction_takes_the_mean_error_away():
    """Inputs far from 0 and coarse weights: each channel is off by a constant, which the bias takes up."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = conv(3, size=3), conv(groups=8, size=3), conv(groups=2)
            self.d = nn.Linear(8, 8)
            with torch.no_grad():
                for layer in (self.a, self.b, self.c):
                    layer.weight[:, :, 0, 0] += 9 * torch.sign(torch.randn(layer.weight.shape[:2]))

        def forward(self, x):
            return self.d(self.c(self.b(self.a(x))).mean((2, 3)))

    network, x = Net(), X * 0.1 + 3
    plain, corrected = Int8File(network, x), Int8File(network, x, correct=True)
    assert corrected.data != plain.data
    assert corrected.sqnr_db() > plain.sqnr_db() + 1
    assert whole(corrected)
