import re

import pytest
import torch
import torch.nn.functional as F
from networks import Lambda, picture, randomise_batchnorm, tiny_mocovit
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import aten
from mocovit_deploy.models.mocovit_network import Ghost
from mocovit_deploy.passes.fold_batchnorm import fold_batchnorm
from mocovit_deploy.passes.run import relative_error, run_passes


def norms_left(graph):
    return sum(n.target is aten.batch_norm.default for n in graph.graph.nodes)


def fold(network, x):
    """Fold in float64, where an error of the algebra cannot hide, and in float32 with its proof."""
    network = randomise_batchnorm(network).eval()
    wide = capture(network.double(), [x.double()])
    result = fold_batchnorm(wide)
    error = relative_error([wide(x.double())], [result.graph(x.double())])
    assert error <= 1e-12, error
    run_passes(capture(network.float(), [x]), [x], [fold_batchnorm])
    return result


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(
    "layer",
    [
        lambda bias: nn.Conv2d(4, 6, 3, bias=bias),
        lambda bias: nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2, bias=bias),
        lambda bias: nn.Conv2d(4, 6, 3, padding="same", bias=bias),
        lambda bias: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect", bias=bias),
        lambda bias: nn.Conv2d(4, 4, 5, groups=4, bias=bias),
        lambda bias: nn.ConvTranspose2d(4, 6, 3, stride=2, bias=bias),
        lambda bias: nn.ConvTranspose2d(4, 6, 3, groups=2, bias=bias),
    ],
)
def test_two_dimensional_layers(layer, bias, affine):
    conv = layer(bias)
    network = nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels, affine=affine), nn.ReLU())
    result = fold(network, picture(channels=4, size=16))
    assert norms_left(result.graph) == 0
    assert not result.refusals
    assert [change.where for change in result.changes] == ["1"]
    assert result.changes[0].what == "folded into 0"


@pytest.mark.parametrize("bias", [False, True])
def test_one_dimensional_layers(bias):
    convolution = nn.Sequential(nn.Conv1d(4, 6, 3, bias=bias), nn.BatchNorm1d(6))
    assert norms_left(fold(convolution, torch.randn(2, 4, 9)).graph) == 0
    linear = nn.Sequential(nn.Linear(4, 6, bias=bias), nn.BatchNorm1d(6))
    assert norms_left(fold(linear, torch.randn(2, 4)).graph) == 0


def test_both_halves_of_a_ghost_module():
    result = fold(Ghost(8, 12, relu=True), picture(channels=8, size=8))
    assert {change.where for change in result.changes} == {"primary.1", "cheap.1"}
    assert norms_left(result.graph) == 0


def test_a_whole_network():
    result = fold(tiny_mocovit(), picture())
    assert len(result.changes) == 100
    assert not result.refusals


def test_a_norm_in_place_of_another_and_chains():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4))
    result = fold(network, picture(size=8))
    assert norms_left(result.graph) == 0
    assert len(result.changes) == 2


def test_epsilon_is_read_from_each_module():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, eps=0.5))
    assert norms_left(fold(network, picture(size=8)).graph) == 0


def test_the_given_graph_is_left_alone():
    network = randomise_batchnorm(tiny_mocovit())
    graph = capture(network, [picture()])
    before = {key: value.clone() for key, value in graph.state_dict().items()}
    expected = graph(picture())
    fold_batchnorm(graph)
    assert norms_left(graph) == 100
    assert all(torch.equal(value, before[key]) for key, value in graph.state_dict().items())
    assert torch.equal(graph(picture()), expected)


class CalledTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.second(self.conv(self.first(self.conv(x)).relu()))


class ReadTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.other = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        y = self.conv(x)
        return self.norm(y) + self.other(y)


class TiedWeights(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.norm = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.norm(self.a(x)) + self.b(x)


def _with_batch_statistics():
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False))


def _in_training_mode():
    def forward(self, x):
        norm = self.norm
        return F.batch_norm(self.conv(x), norm.running_mean.clone(), norm.running_var.clone(), training=True)

    return Lambda(forward, conv=nn.Conv2d(3, 4, 1), norm=nn.BatchNorm2d(4))


def _computed_weight():
    def forward(self, x):
        return self.norm(F.conv2d(x, self.conv.weight * x.mean()))

    return Lambda(forward, conv=nn.Conv2d(3, 4, 1), norm=nn.BatchNorm2d(4))


def _over_the_tokens():
    return nn.Sequential(nn.Flatten(2), nn.Linear(64, 6), nn.BatchNorm1d(3))


REFUSED = {
    "called twice": (CalledTwice, "called more than once"),
    "read twice": (ReadTwice, "is also read by other"),
    "tied weights": (TiedWeights, "shares its weight"),
    "batch statistics": (_with_batch_statistics, "training mode|no running statistics"),
    "training mode": (_in_training_mode, "in training mode"),
    "computed weight": (_computed_weight, "is computed by the network"),
    "token axis": (_over_the_tokens, "axis 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_place_and_the_reason(name):
    build, why = REFUSED[name]
    result = fold(build(), picture(size=8))
    assert norms_left(result.graph) == len(result.refusals) >= 1
    for refusal in result.refusals:
        re.search(why, refusal.why) or pytest.fail(refusal.why)
        assert refusal.where


def test_a_result_that_overflows_is_refused():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, eps=0.0)).eval()
    network[1].running_var.zero_()
    graph = capture(network, [picture(size=8)])
    result = fold_batchnorm(graph)
    assert norms_left(result.graph) == 1
    assert "overflow" in result.refusals[0].why


# What a fold must not forget: with any of these wrong, the numbers of a real fold differ.
@pytest.mark.parametrize("forgotten", ["running_mean", "running_var", "weight", "bias"])
def test_the_proof_sees_what_is_forgotten(forgotten):
    network = randomise_batchnorm(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))).double()
    x = picture(size=8).double()
    right = network(x)
    neutral = {"running_mean": 0.0, "running_var": 1.0, "weight": 1.0, "bias": 0.0}
    with torch.no_grad():
        getattr(network[1], forgotten).fill_(neutral[forgotten])
    folded = fold_batchnorm(capture(network, [x])).graph
    assert relative_error([right], [folded(x)]) > 1e-2
