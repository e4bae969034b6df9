"""split_projection, absorb_layer_norm, centre_residual: what they do, and where they must do nothing."""

import pytest
import torch
from networks import Lambda, picture
from rewriting import operations, rewritten
from torch import nn
from torch.nn import functional as F

from exporters.tflite.lowering.absorb_layer_norm import absorb_layer_norm
from exporters.tflite.lowering.centre_residual import centre_residual
from exporters.tflite.lowering.split_projection import split_projection

CHANNELS, HEADS = 8, 2
TOKENS = torch.randn(1, 5, CHANNELS, generator=torch.Generator().manual_seed(0))


class Attention(nn.Module):
    def __init__(self, scaled=True):
        super().__init__()
        self.qkv, self.scaled = nn.Linear(CHANNELS, 3 * CHANNELS), scaled

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
        if self.scaled:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = (q @ k.transpose(-1, -2)).softmax(-1) @ v
        return y.transpose(1, 2).reshape(b, n, c)


def both(y, first, second):
    """Something that two read."""
    return first(y) + second(y)


def seeded_norm(channels=CHANNELS):
    norm = nn.LayerNorm(channels)
    generator = torch.Generator().manual_seed(1)
    norm.weight.data = torch.rand(channels, generator=generator) + 0.5
    norm.bias.data = torch.randn(channels, generator=generator)
    return norm


@pytest.mark.parametrize("scaled", [True, False])
def test_the_projection_is_split(scaled):
    result = rewritten(Attention(scaled), TOKENS, split_projection)
    found = operations(result.graph)
    assert found["linear"] == 3
    assert found["unbind"] == 0
    assert ("1/sqrt(d)" in result.changes[0].what) is scaled
    assert result.changes[0].where == "qkv"


def test_a_projection_that_something_else_reads_stays():
    def forward(self, x):
        y = self.attention.qkv(x)
        q, k, v = y.reshape(1, 5, 3, HEADS, 4).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v), y.sum()

    assert not rewritten(Lambda(forward, attention=Attention()), TOKENS, split_projection).changes


def test_a_given_scale_stays():
    def forward(self, x):
        q, k, v = self.qkv(x).reshape(1, 5, 3, HEADS, 4).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v, scale=0.3)

    result = rewritten(Lambda(forward, qkv=nn.Linear(CHANNELS, 3 * CHANNELS)), TOKENS, split_projection)
    assert "1/sqrt" not in result.changes[0].what


def test_layer_norm_into_linear_layers():
    network = Lambda(
        lambda s, x: both(s.norm(x), s.a, s.b),
        norm=seeded_norm(),
        a=nn.Linear(CHANNELS, 6),
        b=nn.Linear(CHANNELS, 6, bias=False),
    )
    result = rewritten(network, TOKENS, absorb_layer_norm)
    assert [change.where for change in result.changes] == ["norm"]
    assert not dict(result.graph.named_parameters()).keys() & {"norm.weight", "norm.bias"}


def tokens_to_image(x):
    return x.transpose(1, 2).reshape(1, CHANNELS, 5, 1)


def test_layer_norm_into_a_convolution_of_its_channels():
    network = Lambda(
        lambda s, x: s.conv(tokens_to_image(s.norm(x))), norm=seeded_norm(), conv=nn.Conv2d(CHANNELS, 4, 1)
    )
    assert len(rewritten(network, TOKENS, absorb_layer_norm).changes) == 1


@pytest.mark.parametrize(
    "forward",
    [
        pytest.param(lambda s, x: s.conv(s.norm(x).reshape(1, CHANNELS, 5, 1)), id="another order"),
        pytest.param(lambda s, x: s.wide(tokens_to_image(s.norm(x))), id="a convolution of 3x3"),
        pytest.param(lambda s, x: both(s.norm(x), s.linear, nn.Identity()), id="read by a sum too"),
        pytest.param(lambda s, x: s.norm(x), id="read by nothing"),
    ],
)
def test_layer_norm_stays(forward):
    network = Lambda(
        forward,
        norm=seeded_norm(),
        conv=nn.Conv2d(CHANNELS, 4, 1),
        wide=nn.Conv2d(CHANNELS, 4, 3, padding=1),
        linear=nn.Linear(CHANNELS, CHANNELS),
    )
    assert not rewritten(network, TOKENS, absorb_layer_norm).changes


def residual(begin, **more):
    """A stream from `begin`: two LayerNorms read it, a linear layer writes to it in between."""

    def forward(self, x):
        y = begin(self, x)
        y = y + self.inner(self.one(y))
        return self.last(self.two(y))

    layers = {"inner": nn.Linear(CHANNELS, CHANNELS), "last": nn.Linear(CHANNELS, 3)}
    return Lambda(forward, one=seeded_norm(), two=seeded_norm(), **layers, **more)


def test_the_mean_goes_out_of_a_residual_stream():
    network = residual(lambda s, x: s.first(x), first=nn.Linear(CHANNELS, CHANNELS))
    result = rewritten(network, TOKENS, centre_residual)
    assert operations(result.graph)["layer_norm"] == 0
    assert operations(result.graph)["rms_norm"] == 2


def test_a_convolution_may_write_to_the_stream():
    network = residual(lambda s, x: s.first(x).flatten(2).transpose(1, 2), first=nn.Conv2d(3, CHANNELS, 1))
    result = rewritten(network, picture(size=4), centre_residual)
    assert operations(result.graph)["rms_norm"] == 2


@pytest.mark.parametrize(
    ("first", "x"),
    [
        pytest.param(lambda s, x: x, TOKENS, id="an input"),
        pytest.param(lambda s, x: s.first(x) + s.position, TOKENS, id="a position embedding"),
        pytest.param(lambda s, x: F.relu(s.first(x)), TOKENS, id="an activation"),
        pytest.param(lambda s, x: s.conv(x).reshape(1, 16, CHANNELS), picture(size=4), id="another order"),
    ],
)
def test_a_stream_that_others_write_to_keeps_its_mean(first, x):
    network = residual(first, first=nn.Linear(CHANNELS, CHANNELS), conv=nn.Conv2d(3, CHANNELS, 1))
    network.position = nn.Parameter(torch.ones(1, 5, CHANNELS))
    assert not rewritten(network, x, centre_residual).changes


def test_a_stream_that_others_read_keeps_its_mean():
    network = Lambda(
        lambda s, x: both(s.first(x), s.norm, torch.sum),
        norm=seeded_norm(),
        first=nn.Linear(CHANNELS, CHANNELS),
    )
    assert not rewritten(network, TOKENS, centre_residual).changes
