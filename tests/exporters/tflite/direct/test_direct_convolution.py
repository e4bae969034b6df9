import pytest
import torch
from direct_files import agree
from torch import nn


def image(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


STRIDED = [(padding, stride) for padding in (0, 1, (2, 1), "valid") for stride in (1, 2, (2, 1))]


@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
@pytest.mark.parametrize(("padding", "stride"), [*STRIDED, ("same", 1)])  # PyTorch strides no "same" padding
@pytest.mark.parametrize("kernel", [1, 3, (3, 2)])
def test_padding_and_strides(size, stride, padding, kernel):
    agree(nn.Conv2d(3, 5, kernel, stride, padding), image(2, 3, *size))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("out", [4, 8])
def test_groups_and_dilation(groups, dilation, out):
    agree(nn.Conv2d(4, out, 3, 1, dilation, dilation, groups, bias=groups != 2), image(1, 4, 9, 8))


def test_depthwise_is_one_operator():
    operators = agree(nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU()), image(1, 6, 8, 8))
    assert operators == ["DEPTHWISE_CONV_2D", "TRANSPOSE"]  # the output is NCHW


@pytest.mark.parametrize("act", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh(), nn.Hardsigmoid()])
def test_activations_are_computed_inside(act):
    operators = agree(nn.Sequential(nn.Conv2d(3, 4, 1), act, nn.Conv2d(4, 4, 1)), image(1, 3, 5, 5))
    assert operators.count("CONV_2D") == 2
    assert set(operators) <= {"CONV_2D", "MUL", "TRANSPOSE"}


def test_an_activation_read_twice_is_not_computed_inside():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x):
            y = self.conv(x)
            return y.relu() + y

    assert "RELU" in agree(Twice(), image(1, 3, 5, 5))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "extra"),
    [
        (2, 2, 0, 0),
        (3, 2, 1, 1),
        (4, 2, 1, 0),
        (3, 1, 1, 0),
        (3, 3, 0, 0),
        (2, 3, 0, 1),
        (5, 2, 2, 0),
        ((3, 2), (2, 1), (1, 0), 0),
    ],
)
@pytest.mark.parametrize(("groups", "dilation"), [(1, 1), (2, 1), (4, 1), (1, 2)])
def test_transposed(kernel, stride, padding, extra, groups, dilation):
    layer = nn.ConvTranspose2d(4, 8, kernel, stride, padding, extra, groups, True, dilation)
    agree(layer, image(1, 4, 5, 6))


@pytest.mark.parametrize("padding", [0, 2, "same"])
@pytest.mark.parametrize("groups", [1, 4])
def test_one_dimension(padding, groups):
    agree(nn.Conv1d(4, 4, 3, padding=padding, groups=groups), image(2, 4, 9))
    agree(nn.ConvTranspose1d(4, 4, 4, 2, 1, groups=groups), image(1, 4, 9))


def test_nchw_files():
    operators = agree(nn.Conv2d(3, 4, 3, padding=1), image(1, 3, 8, 8), nchw=True)
    assert operators == ["TRANSPOSE", "CONV_2D", "TRANSPOSE"]
