import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Lambda, picture, randomise_batchnorm
from torch import nn
from torch.utils._pytree import tree_leaves

from mocovit_deploy.errors import ConversionError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import BATCH_NORMS, CONVOLUTIONS, aten, nodes_calling
from mocovit_deploy.passes.algebra import kernels
from mocovit_deploy.passes.algebra.kernels import Kernel
from mocovit_deploy.passes.merge_branches import merge_branches
from mocovit_deploy.passes.run import named_pass, relative_error, run_passes

BEFORE = ("drop_noops", "fold_batchnorm")


def count(graph, *targets):
    return len(list(nodes_calling(graph, *targets)))


def merge(network, x):
    """Merge in float64, where an error of the algebra cannot hide, and in float32 with its proof."""
    network = randomise_batchnorm(network)
    wide = graph = capture(network.double(), [x.double()])
    for name in BEFORE:
        graph = named_pass(name)(graph).graph
    result = merge_branches(graph)
    with torch.no_grad():
        expected, found = (tree_leaves(g(x.double())) for g in (wide, result.graph))
    assert relative_error(expected, found) <= 1e-12
    again = merge_branches(result.graph)
    assert not again.changes
    assert again.refusals == result.refusals
    assert again.graph.code == result.graph.code
    run_passes(capture(network.float(), [x]), [x])
    return result


def conv_bn(inputs, outputs, kernel=3, **options):
    conv = nn.Conv2d(
        inputs, outputs, kernel, padding=options.pop("padding", kernel // 2), bias=False, **options
    )
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class RepVGG(nn.Module):
    def __init__(self, channels, groups=1):
        super().__init__()
        self.wide = conv_bn(channels, channels, 3, groups=groups)
        self.narrow = conv_bn(channels, channels, 1, groups=groups)
        self.identity = nn.BatchNorm2d(channels)

    def forward(self, x):
        return (self.wide(x) + self.narrow(x) + self.identity(x)).relu()


class MobileOne(nn.Module):
    """Depthwise and pointwise halves, each with several convolutions, written with `sum`."""

    def __init__(self, channels, outputs):
        super().__init__()
        self.scale = conv_bn(channels, channels, 1, groups=channels)
        self.depth = nn.ModuleList(conv_bn(channels, channels, 3, groups=channels) for _ in range(3))
        self.depth_identity = nn.BatchNorm2d(channels)
        self.point = nn.ModuleList(conv_bn(channels, outputs, 1) for _ in range(2))

    def forward(self, x):
        x = F.relu(sum(branch(x) for branch in self.depth) + self.scale(x) + self.depth_identity(x))
        return F.relu(sum(branch(x) for branch in self.point))


class RepGhost(nn.Module):
    def __init__(self, inputs, channels, relu):
        super().__init__()
        self.primary, self.act = conv_bn(inputs, channels, 1), nn.ReLU() if relu else nn.Identity()
        self.cheap, self.fusion = conv_bn(channels, channels, 3, groups=channels), nn.BatchNorm2d(channels)

    def forward(self, x):
        a = self.act(self.primary(x))
        return (self.cheap(a) + self.fusion(a)).relu()


class GhostV3(nn.Module):
    """Ghost module of GhostNetV3 with all its branches; the primary one is a dense 1x1 convolution."""

    def __init__(self, inputs, outputs):
        super().__init__()
        half = outputs // 2
        self.primary = nn.ModuleList(conv_bn(inputs, half, 1) for _ in range(3))
        self.primary_skip = nn.BatchNorm2d(inputs) if inputs == half else None
        self.cheap = nn.ModuleList(conv_bn(half, half, 3, groups=half) for _ in range(3))
        self.cheap_scale, self.cheap_skip = conv_bn(half, half, 1, groups=half), nn.BatchNorm2d(half)

    def forward(self, x):
        a = 0 if self.primary_skip is None else self.primary_skip(x)
        for branch in self.primary:
            a += branch(x)
        a = F.relu(a)
        b = self.cheap_scale(a) + self.cheap_skip(a)
        for branch in self.cheap:
            b += branch(a)
        return torch.cat([a, F.relu(b)], 1)


@pytest.mark.parametrize(
    ("block", "channels", "left"),
    [
        (lambda: RepVGG(8), 8, 1),
        (lambda: RepVGG(8, groups=4), 8, 1),
        (lambda: RepVGG(8, groups=8), 8, 1),
        (lambda: MobileOne(6, 10), 6, 2),
        (lambda: RepGhost(6, 8, relu=True), 6, 2),
        (lambda: RepGhost(6, 8, relu=False), 6, 2),
        (lambda: GhostV3(6, 32), 6, 2),
        (lambda: nn.Sequential(RepVGG(8), RepVGG(8), MobileOne(8, 16), GhostV3(16, 32)), 8, 6),
    ],
)
def test_published_blocks(block, channels, left):
    result = merge(block(), picture(channels=channels, size=9))
    assert count(result.graph, *BATCH_NORMS) == 0
    assert count(result.graph, *CONVOLUTIONS) == left
    assert count(result.graph, aten.add.Tensor) == 0
    assert not result.refusals


DIFFERENCES = {
    "FastViT's token mixer: a convolution less a BatchNorm": (
        lambda s, x: x.relu() + 0.1 * (s.a(y := x.relu()) - s.n(y)),
        {"a": conv_bn(4, 4, groups=4), "n": nn.BatchNorm2d(4)},
    ),
    "a BatchNorm less a convolution": (
        lambda s, x: s.n(x) - s.a(x),
        {"a": conv_bn(4, 4), "n": nn.BatchNorm2d(4)},
    ),
    "less a sum": (
        lambda s, x: s.a(x) - (s.b(x) + s.n(x) - x),
        {"a": conv_bn(4, 4), "b": conv_bn(4, 4, 1), "n": nn.BatchNorm2d(4)},
    ),
    "other terms between": (
        lambda s, x: (z := x.sigmoid(), z - s.a(x) - z * z + s.b(x) - x)[1],
        {"a": conv_bn(4, 4), "b": conv_bn(4, 4, 1)},
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_differences(name):
    forward, layers = DIFFERENCES[name]
    result = merge(Lambda(forward, **layers), picture(channels=4, size=9))
    assert count(result.graph, *BATCH_NORMS) == 0
    assert count(result.graph, *CONVOLUTIONS) == 1


def test_a_pointwise_ghost_convolution_with_identity_stays_pointwise():
    """GhostNetV3's published fusion makes a 3x3 kernel without padding of it: 14x14 becomes 12x12."""
    result = merge(GhostV3(16, 32), picture(channels=16, size=14))
    primary, cheap = nodes_calling(result.graph, *CONVOLUTIONS)
    assert result.graph.get_parameter(primary.args[1].target).shape == (16, 16, 1, 1)
    assert result.graph.get_parameter(cheap.args[1].target).shape == (16, 1, 3, 3)
    assert not result.refusals


def test_changes_name_every_branch():
    result = merge(RepVGG(8), picture(channels=8, size=8))
    assert [(change.where, change.what) for change in result.changes] == [
        ("narrow.0", "merged into wide.0"),
        ("identity", "merged into wide.0"),
    ]


def conv(kernel=3, inputs=4, outputs=4, padding=None, dilation=1, **options):
    padding = dilation * (kernel - 1) // 2 if padding is None else padding
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, **options)


MERGED = {
    "any order": lambda s, x: x + s.one(x) + s.three(x),
    "sum of a list": lambda s, x: sum([s.one(x), s.three(x), x]),
    "sum of a stack": lambda s, x: torch.stack([s.one(x), s.three(x), x], 1).sum(dim=1),
    "stack in a sum": lambda s, x: torch.stack([s.one(x), s.three(x)]).sum(0) + x,
    "in place": lambda s, x: s.one(x).add_(s.three(x)).add_(x),
    "identity alone": lambda s, x: x + s.three(x),
    "identity is itself a convolution": lambda s, x: (y := s.one(x)) + s.three(y),
    "identity twice": lambda s, x: x + x + s.three(x),
    "one branch twice": lambda s, x: (y := s.three(x)) + y,
    "depthwise and identity": lambda s, x: s.depth(x) + x,
    "dilated in dense": lambda s, x: s.five(x) + s.dilated(x) + s.one(x),
    "dilated and identity": lambda s, x: s.dilated(x) + x,
    "even kernels": lambda s, x: F.relu(s.even(x) + s.even_too(x)),
    "strided": lambda s, x: F.relu(s.strided(x) + s.strided_one(x)),
    "strided of odd and even size": lambda s, x: F.relu(s.strided(x) + s.strided_even(x)),
    "named padding": lambda s, x: s.same(x) + s.valid(x) + x,
    "norm behind the sum": lambda s, x: s.norm(x + s.three(x)).relu(),
    "norm branch alone": lambda s, x: s.norm(x) + s.three(x),
    "two levels": lambda s, x: (y := s.norm(x + s.three(x)).relu()) + s.one(y),
    "after batchnorm behind": lambda s, x: s.norm(s.one(x) + s.three(x)) + s.five(x),
}


TWO = ("two levels", "identity is itself a convolution")


@pytest.mark.parametrize("name", MERGED)
def test_one_convolution_is_left(name):
    network = Lambda(
        MERGED[name],
        one=conv(1),
        three=conv(3, bias=False),
        five=conv(5),
        depth=conv(groups=4),
        dilated=conv(3, dilation=2),
        even=conv(2, padding=0),
        even_too=conv(2, padding=0, bias=False),
        strided=conv(3, stride=2),
        strided_one=conv(1, stride=2),
        strided_even=conv(4, padding=1, stride=2),
        same=nn.Conv2d(4, 4, (3, 1), padding="same"),
        valid=nn.Conv2d(4, 4, 1, padding="valid"),
        norm=nn.BatchNorm2d(4),
    )
    result = merge(network, picture(channels=4, size=8))
    assert count(result.graph, *CONVOLUTIONS) == (2 if name in TWO else 1)
    assert count(result.graph, *BATCH_NORMS, aten.add.Tensor, aten.stack.default) == 0
    assert result.changes
    assert not result.refusals


def test_one_dimensional_convolutions():
    network = Lambda(
        lambda s, x: s.a(x) + s.b(x) + s.n(x),
        a=nn.Conv1d(4, 4, 5, padding=2, groups=2),
        b=nn.Conv1d(4, 4, 1, groups=2),
        n=nn.BatchNorm1d(4),
    )
    assert count(merge(network, torch.randn(2, 4, 9)).graph, *CONVOLUTIONS) == 1


def test_other_terms_stay_and_inputs_are_kept_apart():
    def forward(s, x):
        y = x.tanh()
        return s.a(x) + s.c(y) + x.sigmoid() + s.b(x) + s.d(y) + y

    result = merge(Lambda(forward, a=conv(), b=conv(1), c=conv(), d=conv(1)), picture(channels=4, size=8))
    assert count(result.graph, *CONVOLUTIONS) == 2
    assert count(result.graph, aten.add.Tensor) == 2
    assert len(result.changes) == 3


def test_a_partial_sum_that_is_read_elsewhere_is_kept():
    def forward(s, x):
        part = s.a(x) + s.b(x)
        return (part + s.c(x)) * part.relu()

    result = merge(Lambda(forward, a=conv(), b=conv(1), c=conv()), picture(channels=4, size=8))
    assert count(result.graph, *CONVOLUTIONS) == 2
    assert [refusal.why for refusal in result.refusals] == [
        "a branch of a sum, but its output is also read by (network)"
    ]


def test_the_batch_can_be_free():
    network = randomise_batchnorm(RepVGG(4))
    x = picture(batch=2, channels=4, size=8)
    result = run_passes(capture(network, [x], dynamic_batch=True), [x])
    more = picture(batch=5, channels=4, size=8)
    assert torch.allclose(result.graph(more), network(more), atol=1e-5)
    assert count(result.graph, *CONVOLUTIONS) == 1


def test_a_size_is_no_term():
    network = Lambda(lambda s, x: s.a(x) + s.b(x) + x.shape[0], a=conv(), b=conv(1))
    x = picture(batch=2, channels=4, size=8)
    result = merge_branches(capture(network, [x], dynamic_batch=True))
    assert count(result.graph, *CONVOLUTIONS) == 1


def _tied():
    first, second = conv(), conv()
    second.weight = first.weight
    return Lambda(lambda s, x: s.a(x) + s.b(x) + x, a=first, b=second)


def _batch_statistics():
    return Lambda(lambda s, x: s.a(x) + s.n(x), a=conv(), n=nn.BatchNorm2d(4, track_running_stats=False))


def _overflowing():
    network = Lambda(lambda s, x: s.a(x) + s.b(x), a=conv(1), b=conv(1))
    with torch.no_grad():
        for layer in (network.a, network.b):
            layer.weight.fill_(3e38)
    return network


REFUSED = {
    "read elsewhere": (
        lambda: Lambda(lambda s, x: (y := s.a(x)) + s.b(x) + y.relu(), a=conv(), b=conv(1)),
        {"a": "also read by"},
    ),
    "called twice": (
        lambda: Lambda(lambda s, x: s.a(x) + s.b(x) + s.a(x.relu()), a=conv(), b=conv(1)),
        {"a": "called more than once"},
    ),
    "an output": (
        lambda: Lambda(lambda s, x: ((y := s.a(x)) + s.b(x), y), a=conv(), b=conv(1)),
        {"a": "also read by the network's output"},
    ),
    "tied weights": (_tied, {"a": "shares its weight", "b": "shares its weight"}),
    "computed weight": (
        lambda: Lambda(lambda s, x: F.conv2d(x, s.a.weight * x.mean(), padding=1) + x, a=conv()),
        {"(network)": "computed by the network"},
    ),
    "batch statistics": (_batch_statistics, {"n": "training mode|no running statistics"}),
    "a kernel that grows": (
        lambda: Lambda(
            lambda s, x: s.a(x) + s.b(x),
            a=nn.Conv2d(4, 4, (1, 3), padding=(0, 1)),
            b=nn.Conv2d(4, 4, (3, 1), padding=(1, 0)),
        ),
        {"(network)": "a, b: the merged kernel would have 144 weights, more than their 96"},
    ),
    "other groups": (
        lambda: Lambda(lambda s, x: s.a(x) + s.b(x), a=conv(1), b=conv(groups=4)),
        {"a": "its stride and its groups", "b": "its stride and its groups"},
    ),
    "padding on one side": (
        lambda: Lambda(lambda s, x: s.a(x) + x, a=nn.Conv2d(4, 4, 2, padding="same")),
        {"a": "its padding differs"},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    build, expected = REFUSED[name]
    result = merge(build(), picture(channels=4, size=8))
    assert {refusal.where for refusal in result.refusals} == set(expected)
    for refusal in result.refusals:
        assert re.search(expected[refusal.where], refusal.why), refusal.why


def test_a_sum_that_overflows_is_refused():
    result = merge_branches(capture(_overflowing(), [picture(channels=4, size=8)]))
    assert not result.changes
    assert "overflow" in result.refusals[0].why


PLAIN = {
    "residual": lambda s, x: x + s.b(s.a(x).relu()),
    "two inputs": lambda s, x: s.a(x) + s.b(x.relu()),
    "a number": lambda s, x: s.a(x) + 1.0,
    "weighted": lambda s, x: torch.add(s.a(x), x, alpha=2),
    "broadcast": lambda s, x: s.a(x) + s.a(x.mean((2, 3), keepdim=True)),
    "mean of a stack": lambda s, x: torch.stack([s.a(x), x]).mean(0),
    "sum over channels": lambda s, x: torch.stack([s.a(x), x]).sum(2),
}


@pytest.mark.parametrize("name", PLAIN)
def test_other_sums_are_left_without_a_word(name):
    result = merge(Lambda(PLAIN[name], a=conv(), b=conv()), picture(channels=4, size=8))
    assert not result.changes
    assert not result.refusals


def test_what_was_refused_and_then_merged_is_not_reported():
    x = picture(channels=8, size=8)
    result = run_passes(capture(randomise_batchnorm(RepVGG(8)), [x]), [x])
    assert [len(proof.refusals) for proof in result.proofs] == [0, 1, 0, 0, 0]
    assert result.refusals == ()


def test_what_stays_refused_is_reported():
    x = picture(channels=4, size=8)
    network = Lambda(lambda s, x: s.n(x.relu()).relu() + s.a(x) + x, a=conv(), n=nn.BatchNorm2d(4))
    result = run_passes(capture(randomise_batchnorm(network), [x]), [x])
    assert [refusal.where for refusal in result.refusals] == ["n"]


def test_a_branch_out_of_the_centre_does_not_pass_the_proof(monkeypatch):
    right = kernels.add_kernels

    def off_by_one(parts):
        merged = right(parts)
        return Kernel(**{**vars(merged), "weight": merged.weight.roll(1, dims=2)})

    monkeypatch.setattr(kernels, "add_kernels", off_by_one)
    graph = capture(randomise_batchnorm(RepVGG(4)), [picture(channels=4, size=8)])
    with pytest.raises(ConversionError, match="pass merge_branches changes what the network computes"):
        run_passes(graph, [picture(channels=4, size=8)])


@st.composite
def parallel(draw):
    """Kernels of one input, with outputs of one size."""
    groups = draw(st.sampled_from([1, 2]))
    stride = draw(st.sampled_from([1, 2]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        sizes = draw(st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3])))
        dilation = draw(st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 3])))
        finer = groups * draw(st.sampled_from([1, 2]))
        weight = torch.randn(8, 4 // finer, *sizes, generator=generator, dtype=torch.float64)
        bias = torch.randn(8, generator=generator, dtype=torch.float64)
        padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, sizes, strict=True))
        parts.append(Kernel(weight, bias, (stride, stride), padding, dilation, finer))
    return parts


def _run(kernel, x):
    return F.conv2d(
        x, kernel.weight, kernel.bias, kernel.stride, kernel.padding, kernel.dilation, kernel.groups
    )


@given(parallel(), st.integers(7, 9))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_sum_of_kernels_computes_the_sum(parts, size):
    x = picture(channels=4, size=size, batch=2).double()
    merged = kernels.add_kernels(parts)
    expected = sum(_run(part, x) for part in parts)
    assert relative_error([expected], [_run(merged, x)]) <= 1e-12
    assert merged.groups == min(part.groups for part in parts)
