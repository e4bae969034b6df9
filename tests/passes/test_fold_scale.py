import re

import pytest
import torch
from networks import Lambda, picture, randomise_batchnorm, tiny_mocovit
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.passes.algebra.scales import constant_factor
from mocovit_deploy.passes.fold_scale import fold_scale
from mocovit_deploy.passes.run import relative_error, run_passes


def factors_left(graph):
    return sum(constant_factor(graph, n) is not None for n in graph.graph.nodes)


def fold(network, x):
    network = network.double().eval()
    graph = capture(network, [x.double()])
    result = fold_scale(graph)
    assert relative_error([graph(x.double())], [result.graph(x.double())]) <= 1e-12
    assert factors_left(result.graph) == len(result.refusals)
    return result


def conv(inputs=3, outputs=4):
    return nn.Conv2d(inputs, outputs, 3, padding=1)


FOLDED = {
    "after a convolution": lambda s, x: s.a(x) * 0.3,
    "division": lambda s, x: s.a(x) / 7,
    "before a convolution": lambda s, x: s.a(x * (1 / 255)),
    "between two": lambda s, x: s.b((s.a(x) * 0.3).relu()),
    "through a concat": lambda s, x: torch.cat([s.a(x), s.c(x)], 1) * 0.5,
    "through pooling and mean": lambda s, x: nn.functional.max_pool2d(s.a(x), 2).mean((2, 3)) * 3.0,
    "through a sum": lambda s, x: (s.a(x) + s.c(x)) * 0.25,
    "two in a row": lambda s, x: s.a(x) * 0.5 * 0.3,
    "a product of two": lambda s, x: (s.a(x) * torch.sigmoid(s.c(x))) * 0.5,
}


@pytest.mark.parametrize("name", FOLDED)
def test_folded(name):
    network = Lambda(FOLDED[name], a=conv(), b=conv(4, 4), c=conv())
    result = fold(network, picture(size=8))
    assert factors_left(result.graph) == 0
    assert all(change.what.startswith("factor ") for change in result.changes)


def test_linear():
    network = Lambda(lambda s, x: s.a(x) * 0.3, a=nn.Linear(8, 5, bias=False))
    assert factors_left(fold(network, torch.randn(2, 8)).graph) == 0


def test_a_stored_one_element_tensor_is_a_factor_too():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = conv()
            self.register_buffer("scale", torch.tensor(0.3))

        def forward(self, x):
            return self.a(x) * self.scale

    assert factors_left(fold(Scaled(), picture(size=8)).graph) == 0


def test_attention_with_one_tensor_for_query_key_and_value():
    network = tiny_mocovit()
    before = capture(network, [picture()])
    assert factors_left(before) == 4
    result = run_passes(before, [picture()])
    assert factors_left(result.graph) == 0
    changes = next(proof.changes for proof in result.proofs if proof.name == "fold_scale")
    assert [change.where for change in changes] == [f"blocks.{i}.attention" for i in range(12, 16)]
    assert "blocks.12.attention.refiner.0" in changes[0].what


def test_attention_with_separate_projections():
    def forward(s, x):
        q, k, v = s.q(x), s.k(x), s.v(x)
        return torch.softmax((q @ k.transpose(-2, -1)) * 0.25, dim=-1) @ v

    layers = {name: nn.Linear(8, 16) for name in "qkv"}
    result = fold(Lambda(forward, **layers), torch.randn(2, 5, 8))
    assert factors_left(result.graph) == 0
    assert result.changes[0].what == "factor 0.25 into q", "the weights before, and one of them is enough"


REFUSED = {
    "after the input and before the output": (
        lambda s, x: x * 0.5,
        "the input.*the output|the output.*the input",
    ),
    "between softmax and sigmoid": (
        lambda s, x: torch.sigmoid(torch.softmax(s.a(x), 1) * 3),
        "softmax.*|sigmoid",
    ),
    "negative": (lambda s, x: s.a(x) * -1.0, "not a positive number"),
    "zero": (lambda s, x: s.a(x) * 0.0, "not a positive number"),
    "read elsewhere": (lambda s, x: torch.sigmoid(y := s.a(x)) + torch.tanh(y * 2), "sigmoid|tanh"),
    "shared convolution": (lambda s, x: torch.sigmoid(s.d(s.d(x) * 0.5)), "conv2d"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    forward, why = REFUSED[name]
    result = fold(Lambda(forward, a=conv(), d=conv(3, 3)), picture(size=8))
    assert not result.changes
    assert len(result.refusals) == 1
    assert re.search(why, result.refusals[0].why), result.refusals[0].why


def test_integers_are_not_scaled():
    graph = capture(Lambda(lambda _s, x: x.long() * 2), [picture(size=8)])
    assert factors_left(graph) == 0


def test_batchnorm_in_between_is_respected():
    network = randomise_batchnorm(nn.Sequential(conv(), nn.BatchNorm2d(4)))
    result = fold(Lambda(lambda s, x: s.a(x) * 0.5, a=network), picture(size=8))
    assert len(result.refusals) == 1, "BatchNorm is folded first; where it could not be, its scale is fixed"
