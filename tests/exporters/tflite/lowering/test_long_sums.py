"""centre_head and split_sums: sums in half precision nearer to the truth, and what they leave alone."""

import numpy as np
import pytest
import torch
from networks import Lambda, picture
from rewriting import operations, rewritten
from torch import nn
from torch.nn import functional as F

from exporters.semantics.half import sums
from exporters.tflite.lowering.centre_head import LONG, centre_head
from exporters.tflite.lowering.split_sums import split_sums
from mocovit_deploy.graph.edit import argument, aten, nodes_calling
from mocovit_deploy.graph.insert import layer_weights


def head(wide=2 * LONG, terms=LONG, *, mean=1.0, linear=False):
    """A layer whose bias takes back what inputs around `mean` give."""
    layer = nn.Linear(terms, wide) if linear else nn.Conv2d(terms, wide, 1)
    with torch.no_grad():
        likely = mean * (1 + 0.1 * torch.randn(terms))
        layer.bias.copy_(-layer.weight.reshape(wide, terms) @ likely + 0.01 * torch.randn(wide))
    return layer


def pooled(layer, *, size=1):
    return Lambda(
        lambda s, x: s.layer(F.adaptive_avg_pool2d(s.up(x), size)), up=nn.Conv2d(3, LONG, 1), layer=layer
    )


@pytest.mark.parametrize("linear", [False, True])
def test_a_head_is_centred(linear):
    torch.manual_seed(0)
    layer = head(linear=linear)
    network = pooled(layer)
    if linear:
        network = Lambda(lambda s, x: s.layer(s.up(x).mean((2, 3))), up=nn.Conv2d(3, LONG, 1), layer=layer)
    result = rewritten(network, picture(size=4), centre_head)
    assert [change.what for change in result.changes] == [f"{LONG} terms around zero"]
    (last,) = list(nodes_calling(result.graph, aten.linear.default, aten.conv2d.default))[-1:]
    left = layer_weights(result.graph, last)[1]
    assert left.norm() < 0.25 * layer.bias.norm()


def test_a_centred_head_rounds_less():
    torch.manual_seed(0)
    layer = head(linear=True)
    network = Lambda(lambda s, x: s.layer(s.up(x).mean((2, 3))), up=nn.Conv2d(3, LONG, 1), layer=layer)
    graph = rewritten(network, picture(size=4), centre_head).graph
    (last,) = nodes_calling(graph, aten.linear.default)
    weight, bias = (one.double().numpy() for one in layer_weights(graph, last))
    added = argument(argument(last, "input"), "other")
    centre = dict(graph.named_parameters())[added.target].double().numpy()
    x = (1 + 0.1 * np.random.default_rng(0).normal(size=(1, LONG))).astype(np.float16)
    exact = x.astype(np.float64) @ weight.T + layer.bias.double().detach().numpy()

    def error(given, start):
        found = sums.product(given, weight.T.astype(np.float16), start.astype(np.float16))
        return np.abs(found.astype(np.float64) - exact).mean()

    before = error(x, layer.bias.detach().numpy())
    after = error((x.astype(np.float64) + centre).astype(np.float16), bias)
    assert after < 0.5 * before


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(lambda: pooled(head(wide=LONG)), id="no more outputs than inputs"),
        pytest.param(lambda: pooled(nn.Conv2d(LONG, 2 * LONG, 1)), id="a bias that no input explains"),
        pytest.param(lambda: pooled(nn.Conv2d(LONG, 2 * LONG, 1, bias=False)), id="no bias"),
        pytest.param(lambda: pooled(head(), size=2), id="four pixels"),
        pytest.param(
            lambda: Lambda(
                lambda s, x: s.layer(s.up(x)), up=nn.Conv2d(3, 64, 4), layer=head(wide=128, terms=64)
            ),
            id="short sums",
        ),
    ],
)
def test_other_heads_stay(network):
    torch.manual_seed(0)
    assert not rewritten(network(), picture(size=4), centre_head).changes


def near(layer, size=56):
    return Lambda(lambda s, x: s.layer(F.relu(s.up(x))), up=nn.Conv2d(3, 32, 1), layer=layer), picture(
        size=size
    )


@pytest.mark.parametrize(
    ("padding", "size"), [(1, 56), (1, 57), (0, 57), ((0, 1), 57), ((1, 0), 57)], ids=str
)
def test_a_sum_is_split(padding, size):
    network, x = near(nn.Conv2d(32, 8, 3, 2, padding), size)
    result = rewritten(network, x, split_sums)
    assert [change.what for change in result.changes] == ["288 terms in two sums"]
    found = operations(result.graph)
    assert (found["conv2d"], found["add"], found["slice"]) == (3, 2, 1)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        pytest.param(nn.Conv2d(32, 8, 3, 1, 1), 56, id="stride 1"),
        pytest.param(nn.Conv2d(32, 8, 5, 2, 2), 56, id="5x5"),
        pytest.param(nn.Conv2d(32, 32, 3, 2, 1, groups=32), 56, id="depthwise"),
        pytest.param(nn.Conv2d(32, 8, 3, 2, 1, groups=2), 56, id="groups"),
        pytest.param(nn.Conv2d(32, 8, 3, 2, 2, 2), 56, id="dilated"),
        pytest.param(nn.Conv2d(32, 8, 3, 2, 1), 28, id="far from the image"),
        pytest.param(nn.Conv2d(32, 8, 3, 2, 0), 58, id="a row that no window reads"),
    ],
)
def test_other_sums_stay(layer, size):
    network, x = near(layer, size)
    assert not rewritten(network, x, split_sums).changes


def test_short_sums_stay():
    network = Lambda(lambda s, x: s.layer(x), layer=nn.Conv2d(3, 8, 3, 2, 1))
    assert not rewritten(network, picture(size=56), split_sums).changes


def test_a_split_sum_rounds_less():
    """Terms with a mean, which the bias takes back."""
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 32, 3, 2, 1)
    with torch.no_grad():
        layer.bias.copy_(-layer.weight.sum((1, 2, 3)))
    network, x = near(layer)
    graph = rewritten(network, x, split_sums).graph
    upper, lower = [
        layer_weights(graph, node) for node in list(nodes_calling(graph, aten.conv2d.default))[1:]
    ]
    (rest,) = [one for name, one in graph.named_parameters() if "bias_left" in name]
    window = (1 + 0.3 * np.random.default_rng(0).normal(size=(64, 3, 3, 32))).clip(0).astype(np.float16)

    def product(rows, weight, bias):
        flat = weight.permute(0, 2, 3, 1).reshape(weight.shape[0], -1).numpy().T.astype(np.float16)
        return sums.product(rows.reshape(64, -1), flat, bias.detach().numpy().astype(np.float16))

    exact = (
        window.astype(np.float64).reshape(64, -1)
        @ layer.weight.detach().permute(0, 2, 3, 1).reshape(32, -1).numpy().T
        + layer.bias.detach().numpy()
    )
    whole = product(window, layer.weight.detach(), layer.bias)
    parts = product(window[:, :2], *upper) + product(window[:, 2:], *lower)
    split = parts + rest.reshape(-1).detach().numpy().astype(np.float16)
    errors = [np.abs(one.astype(np.float64) - exact).mean() for one in (whole, split)]
    assert errors[1] < 0.7 * errors[0]
