"""fold_batchnorm on networks nobody wrote: no order of layers changes the outputs or is left unsaid."""

import re
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import Lambda, picture, randomise_batchnorm
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import BATCH_NORMS, nodes_calling
from mocovit_deploy.passes import PASSES
from mocovit_deploy.passes.algebra import affine
from mocovit_deploy.passes.algebra.affine import Affine
from mocovit_deploy.passes.fold_batchnorm import fold_batchnorm
from mocovit_deploy.passes.run import named_pass, relative_error

BOUND = 1e-10


def norms_left(graph):
    return len(list(nodes_calling(graph, *BATCH_NORMS)))


def check(network, x):
    """Fold in float64; the outputs stay and every BatchNorm that stays has a reason."""
    network, x = network.double().eval(), x.double()
    graph = capture(network, [x])
    result = fold_batchnorm(graph)
    with torch.no_grad():
        expected = leaves(network(x))
        error = relative_error(expected, leaves(result.graph(x)))
    assert error <= BOUND, (error, result.changes)
    assert norms_left(result.graph) == len(result.refusals)
    assert all(refusal.where and refusal.why for refusal in result.refusals)
    assert len(result.changes) + len(result.refusals) == norms_left(graph)
    return result, expected, x


def leaves(value):
    return list(value) if isinstance(value, tuple | list) else [value]


@dataclass(frozen=True)
class Step:
    """One operation of a random network: which earlier values it reads, and the module it calls, if any."""

    name: str
    reads: tuple[int, ...]
    module: int | None = None
    sides: tuple[str, float] | None = None


class Program(nn.Module):
    def __init__(self, steps, modules, outputs):
        super().__init__()
        self.steps, self.outputs = steps, outputs
        self.layers = nn.ModuleList(modules)

    def forward(self, x):
        values = [x]
        for step in self.steps:
            read = [values[i] for i in step.reads]
            if step.name == "module":
                values.append(self.layers[step.module](read[0]))
            elif step.name == "relu":
                values.append(F.relu(read[0]))
            elif step.name == "add":
                values.append(read[0] + read[1])
            elif step.name == "sub":
                values.append(read[0] - read[1])
            elif step.name == "concat":
                values.append(torch.cat(read, 1))
            elif step.name == "average":
                values.append(F.avg_pool2d(read[0], 3, 1, 1, count_include_pad=False))
            elif step.name == "average with zeros":
                values.append(F.avg_pool2d(read[0], 3, 1, 1))
            elif step.name == "largest":
                values.append(F.max_pool2d(read[0], 3, 1, 1))
            elif step.name == "tokens":  # there and back, through a shape with the channels last
                values.append(read[0].flatten(2).transpose(1, 2).transpose(1, 2).reshape(read[0].shape))
            else:
                mode, value = step.sides
                values.append(F.pad(read[0], (1, 1, 1, 1), mode, value if mode == "constant" else None))
        return tuple(values[i] for i in self.outputs)


def norm(draw, channels):
    layer = nn.BatchNorm2d(channels, affine=draw(st.booleans()))
    randomise_batchnorm(layer, seed=draw(st.integers(0, 99)))
    kind = draw(st.sampled_from(["any", "any", "centred", "uniform"]))
    if kind == "centred":  # the shift is exactly zero
        layer.running_mean.zero_()
        if layer.affine:
            layer.bias.data.zero_()
    if kind == "uniform":  # one number is zero behind it in every channel
        for tensor in (layer.running_mean, layer.running_var, *(p.data for p in layer.parameters())):
            tensor.fill_(float(tensor[0]))
    return layer


def convolution(draw, channels, size):
    kernel = draw(st.sampled_from([1, 3] if size > 3 else [1]))
    mode = draw(st.sampled_from(["zeros", "zeros", "none", "reflect"]))
    return nn.Conv2d(
        channels,
        draw(st.sampled_from([2, 4])),
        kernel,
        padding=0 if mode == "none" else kernel // 2,
        padding_mode="reflect" if mode == "reflect" else "zeros",
        groups=draw(st.sampled_from([1, 2])) if channels % 2 == 0 else 1,
        bias=draw(st.booleans()),
    )


SAME_SHAPE = ["average", "average with zeros", "largest", "tokens"]


@st.composite
def programs(draw):
    """A network of 3 to 9 steps over a 6x6 image; now and then a module is called a second time."""
    torch.manual_seed(draw(st.integers(0, 99)))
    shapes = [(draw(st.sampled_from([1, 2, 4])), 6)]
    steps, modules, taken = [], [], []
    names = ["norm", "norm", "norm", "conv", "conv", "conv", "relu", "concat", "add", "sub", "pad", "again"]
    names += SAME_SHAPE
    for name in draw(st.lists(st.sampled_from(names), min_size=3, max_size=9)):
        at = draw(st.integers(max(0, len(shapes) - 2), len(shapes) - 1))
        channels, size = shapes[at]
        partners = [i for i, (c, s) in enumerate(shapes) if s == size and (name == "concat" or c == channels)]
        if name in ("norm", "conv"):
            layer = norm(draw, channels) if name == "norm" else convolution(draw, channels, size)
            steps.append(Step("module", (at,), len(modules)))
            modules.append(layer)
            taken.append(channels)
        elif name == "again" and channels in taken:
            steps.append(Step("module", (at,), taken.index(channels)))
            layer = modules[steps[-1].module]
        elif name in SAME_SHAPE:
            steps.append(Step(name, (at,)))
            shapes.append((channels, size))
            continue
        elif name in ("concat", "add", "sub"):
            other = draw(st.sampled_from(partners))
            steps.append(Step(name, (at, other)))
            shapes.append((channels + shapes[other][0] if name == "concat" else channels, size))
            continue
        elif name == "pad" and size < 8:
            sides = (
                draw(st.sampled_from(["constant", "reflect", "replicate"])),
                draw(st.sampled_from([0.0, 0.5])),
            )
            steps.append(Step("pad", (at,), sides=sides))
            shapes.append((channels, size + 2))
            continue
        else:
            steps.append(Step("relu", (at,)))
            shapes.append((channels, size))
            continue
        if isinstance(layer, nn.Conv2d):
            outputs, shrink = layer.out_channels, layer.kernel_size[0] - 1 - 2 * layer.padding[0]
            if size - shrink < 1:
                steps.pop()
                continue
            shapes.append((outputs, size - shrink))
        else:
            shapes.append((channels, size))
    outputs = {len(steps)} | set(draw(st.lists(st.integers(1, len(steps)), max_size=1)))
    return Program(steps, modules, sorted(outputs)), picture(batch=2, channels=shapes[0][0], size=6)


@given(programs())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_random_networks(case):
    result, expected, x = check(*case)
    graph = result.graph
    for name in PASSES:
        graph = named_pass(name)(graph).graph
    with torch.no_grad():
        assert relative_error(expected, leaves(graph(x))) <= BOUND


class Tokens(nn.Module):
    """A random network of (batch, tokens, channels), as vision transformers with BatchNorm have them."""

    def __init__(self, steps, layers):
        super().__init__()
        self.steps = steps
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        skip = x
        for name, position in self.steps:
            layer = None if position is None else self.layers[position]
            if name == "linear":
                x = layer(x)
            elif name == "norm of rows":  # timm's LeViT
                x = layer(x.flatten(0, 1)).reshape_as(x)
            elif name == "norm of columns":
                x = layer(x.transpose(1, 2)).permute(0, 2, 1)
            elif name == "norm of tokens":
                x = layer(x)
            elif name == "relu":
                x = x.relu()
            elif name == "every other":
                x = x[:, ::2]
            elif name == "heads":
                x = x.reshape(x.shape[0], x.shape[1], 2, -1).flatten(2)
            elif name == "keep":
                skip = x
            elif name == "add" and skip.shape == x.shape:
                x = skip - x
        return x.mean(1) if len(self.steps) % 2 else x


@st.composite
def token_programs(draw):
    torch.manual_seed(draw(st.integers(0, 99)))
    tokens, channels = 8, 4
    steps, layers = [], []
    names = ["linear", "linear", "norm of rows", "norm of rows", "norm of columns", "norm of tokens"]
    names += ["relu", "every other", "heads", "keep", "add"]
    for name in draw(st.lists(st.sampled_from(names), min_size=3, max_size=8)):
        layer = None
        if name == "linear":
            layer = nn.Linear(channels, draw(st.sampled_from([2, 4, 6])), bias=draw(st.booleans()))
            channels = layer.out_features
        elif name.startswith("norm"):
            layer = nn.BatchNorm1d(tokens if name == "norm of tokens" else channels)
            randomise_batchnorm(layer, seed=draw(st.integers(0, 99)))
        elif name == "every other":
            tokens = (tokens + 1) // 2
        steps.append((name, None if layer is None else len(layers)))
        layers += [] if layer is None else [layer]
    return Tokens(steps, layers), torch.randn(2, 8, 4)


@given(token_programs())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_random_networks_of_tokens(case):
    check(*case)


def test_a_fold_that_forgets_the_shift_is_seen(monkeypatch):
    right = affine.after_layer

    def forgetful(weight, bias, wanted, transposed_groups=None):
        return right(weight, bias, Affine(wanted.scale, wanted.shift * 0), transposed_groups)

    monkeypatch.setattr(affine, "after_layer", forgetful)
    with pytest.raises(AssertionError):
        check(nn.Sequential(conv(), norm2d()), picture(channels=4, size=6))


def conv(inputs=4, outputs=4, kernel=3, padding=1, **options):
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, **options)


def uniform(channels=4, shift=0.5):
    """A BatchNorm that does the same to every channel: one number is zero behind it."""
    layer = nn.BatchNorm2d(channels)
    layer.bias.data.fill_(shift)
    layer.running_var.fill_(0.3)
    return layer


def turned_round(channels=4):
    layer = norm2d(channels)
    layer.weight.data.neg_()
    return layer


def norm2d(channels=4):
    return randomise_batchnorm(nn.BatchNorm2d(channels))


def functional(s, x):
    n = s.n
    return F.batch_norm(s.a(x), n.running_mean, n.running_var, n.weight, n.bias, False, 0.0, n.eps)


def two_readers(s, x):
    y = s.n(x)
    return s.a(y) + s.b(y)


FOLDED = {
    "behind a concat": (
        lambda s, x: s.n(torch.cat([s.a(x), s.b(x)], 1)),
        {"a": conv(), "b": conv(4, 2), "n": norm2d(6)},
    ),
    "behind a concat of concats": (
        lambda s, x: s.n(torch.cat([s.a(x), torch.cat([s.b(x), s.c(x)], 1)], 1)),
        {"a": conv(), "b": conv(4, 2), "c": conv(4, 3), "n": norm2d(9)},
    ),
    "before a convolution": (lambda s, x: s.a(s.n(x)), {"n": norm2d(), "a": conv(padding=0)}),
    "before a convolution that pads, centred": (
        lambda s, x: s.a(s.n(x)),
        {"n": nn.BatchNorm2d(4, affine=False), "a": conv()},
    ),
    "before a convolution that pads, uniform": (lambda s, x: s.a(s.n(x)), {"n": uniform(), "a": conv()}),
    "before a convolution that pads, one channel": (
        lambda s, x: s.a(s.n(x[:, :1])),
        {"n": norm2d(1), "a": conv(1)},
    ),
    "before a convolution that reflects": (
        lambda s, x: s.a(s.n(x)),
        {"n": norm2d(), "a": conv(padding_mode="reflect")},
    ),
    "before a grouped convolution": (
        lambda s, x: s.a(s.n(x)),
        {"n": norm2d(), "a": conv(4, 6, padding=0, groups=2)},
    ),
    "before constant padding": (
        lambda s, x: s.a(F.pad(s.n(x), (1, 2, 1, 0), value=0.7)),
        {"n": uniform(), "a": conv(padding=0)},
    ),
    "before two convolutions": (
        two_readers,
        {"n": norm2d(), "a": conv(padding=0), "b": conv(padding=0, bias=False)},
    ),
    "functional": (functional, {"a": conv(), "n": norm2d()}),
    "behind a linear layer of tokens": (
        lambda s, x: (y := s.a(x.flatten(2).transpose(1, 2)), s.n(y.flatten(0, 1)).reshape_as(y).relu())[1],
        {"a": nn.Linear(4, 6), "n": randomise_batchnorm(nn.BatchNorm1d(6))},
    ),
    "behind a flattened convolution of one pixel": (
        lambda s, x: s.n(s.a(x).flatten(1)).relu(),
        {"a": conv(4, 5, kernel=6, padding=0), "n": randomise_batchnorm(nn.BatchNorm1d(5))},
    ),
    "behind a pooled convolution": (
        lambda s, x: s.n(F.avg_pool2d(F.max_pool2d(s.a(x), 2), 2)).relu(),
        {"a": conv(), "n": norm2d()},
    ),
    "behind a resized convolution": (
        lambda s, x: s.n(F.interpolate(s.a(x), scale_factor=2, mode="bilinear")).relu(),
        {"a": conv(), "n": norm2d()},
    ),
    "behind a sum": (
        lambda s, x: s.n(s.a(x) + s.b(x.relu())).relu(),
        {"a": conv(), "b": conv(bias=False), "n": norm2d()},
    ),
    "behind a difference": (
        lambda s, x: s.n(s.a(x) - s.b(x.relu())).relu(),
        {"a": conv(), "b": conv(), "n": norm2d()},
    ),
    "behind a difference from a stored tensor": (
        lambda s, x: s.n(s.stored[0] - s.a(x)).relu(),
        {"a": conv(), "stored": nn.ParameterList([torch.randn(4, 1, 6)]), "n": norm2d()},
    ),
    "behind a concat along another axis": (
        lambda s, x: s.n(torch.cat([s.a(x), s.b(x)], 2)).relu(),
        {"a": conv(), "b": conv(), "n": norm2d()},
    ),
    "before a global pool and a linear layer": (
        lambda s, x: s.a(F.adaptive_avg_pool2d(s.n(x.relu()), 1).flatten(1)),
        {"n": norm2d(), "a": nn.Linear(4, 3)},
    ),
    "before a mean and two linear layers": (
        lambda s, x: (y := s.n(x.relu()).mean((2, 3)), s.a(y) + s.b(y))[1],
        {"n": norm2d(), "a": nn.Linear(4, 3), "b": nn.Linear(4, 3)},
    ),
    "before a linear layer of all pixels": (
        lambda s, x: s.a(s.n(x.relu()).flatten(1)),
        {"n": norm2d(), "a": nn.Linear(4 * 36, 3)},
    ),
    "before a linear layer of tokens": (
        lambda s, x: s.a(s.n(x.relu()).flatten(2).transpose(1, 2)[:, ::2]),
        {"n": norm2d(), "a": nn.Linear(4, 3)},
    ),
    "before a convolution that pads, no number for it": (
        lambda s, x: s.a(s.n(x)),
        {"n": norm2d(), "a": conv(stride=2, groups=2)},
    ),
    "before a convolution that pads by 'same'": (
        lambda s, x: s.a(s.n(x)),
        {"n": norm2d(), "a": conv(kernel=4, padding="same")},
    ),
    "before a convolution that pads by 'same', uniform": (
        lambda s, x: s.a(s.n(x)),
        {"n": uniform(), "a": conv(kernel=2, padding="same", dilation=3)},
    ),
    "between two layers with a padded border, behind the second": (
        lambda s, x: s.m(s.a(s.n(x))).relu(),
        {"n": norm2d(), "a": conv(stride=2), "m": norm2d()},
    ),
    "a chain of two before": (
        lambda s, x: s.a(s.m(s.n(x))),
        {"n": norm2d(), "m": norm2d(), "a": conv(padding=0)},
    ),
    "a chain of three behind": (
        lambda s, x: s.o(s.m(s.n(s.a(x)))),
        {name: norm2d() for name in "nmo"} | {"a": conv()},
    ),
}


@pytest.mark.parametrize("name", FOLDED)
def test_folded(name):
    forward, layers = FOLDED[name]
    result, _, _ = check(Lambda(forward, **layers), picture(batch=2, channels=4, size=6))
    assert norms_left(result.graph) == 0


def test_one_dimensional_norms_on_both_sides():
    layers = [nn.BatchNorm1d(5), nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 3), nn.BatchNorm1d(3)]
    result, _, _ = check(randomise_batchnorm(nn.Sequential(*layers)), torch.randn(4, 5))
    assert norms_left(result.graph) == 0


def test_a_chain_with_nothing_to_take_it_becomes_one():
    network = nn.Sequential(norm2d(), norm2d(), norm2d(), nn.ReLU())
    result, _, _ = check(network, picture(batch=2, channels=4, size=6))
    assert norms_left(result.graph) == 1


REFUSED = {
    "its output is an output": (
        lambda s, x: (y := s.n(x), s.a(y)),
        {"n": norm2d(), "a": conv(padding=0)},
        "is read by the network's output",
    ),
    "correcting the border would take too much": (
        lambda s, x: s.a(s.n(x)),
        {"n": norm2d(), "a": conv(4, 9)},
        "to correct the border would take 324 numbers",
    ),
    "a pool that counts zeros": (
        lambda s, x: s.a(F.avg_pool2d(s.n(x), 3, 1, 1)),
        {"n": norm2d(), "a": conv(padding=0)},
        "is read by aten.avg_pool2d.default of .*, which mixes or splits channels",
    ),
    "a largest value of channels turned round": (
        lambda s, x: s.a(F.max_pool2d(s.n(x), 2)),
        {"n": turned_round(), "a": conv(padding=0)},
        "is read by aten.max_pool2d.default of .*, which mixes or splits channels",
    ),
    "a reshape that splits the channels": (
        lambda s, x: s.a(s.n(x).reshape(2, 2, 2, 36).flatten(2)),
        {"n": norm2d(), "a": nn.Linear(72, 3)},
        "is read by aten.reshape.default of .*, which mixes or splits channels",
    ),
    "a mean over the channels": (
        lambda s, x: s.a(s.n(x).mean((1, 2))),
        {"n": norm2d(), "a": nn.Linear(6, 3)},
        "is read by aten.mean.dim of .*, which mixes or splits channels",
    ),
    "half of the sum is an input": (
        lambda s, x: s.n(s.a(x) + x),
        {"a": conv(), "n": norm2d()},
        "through the sum of .*: follows the network's input",
    ),
    "half of the sum is repeated": (
        lambda s, x: s.n(s.a(x) + s.b(x).mean((2, 3), keepdim=True)),
        {"a": conv(), "b": conv(), "n": norm2d()},
        "which repeats",
    ),
    "a sum with another factor": (
        lambda s, x: s.n(torch.add(s.a(x), s.b(x), alpha=2)),
        {"a": conv(), "b": conv(), "n": norm2d()},
        "follows aten.add.Tensor of .*, not a convolution",
    ),
    "read twice behind a pool": (
        lambda s, x: (y := F.avg_pool2d(s.a(x), 2), s.n(y).relu() + y)[1],
        {"a": conv(), "n": norm2d()},
        "is also read by",
    ),
    "no number gives the padding": (
        lambda s, x: s.a(F.pad(s.n(x), (1, 1, 1, 1), value=0.7)),
        {"n": norm2d(), "a": conv(padding=0)},
        "no single number becomes in the BatchNorm",
    ),
    "one of two readers is no layer": (
        lambda s, x: s.a(y := s.n(x)) + y,
        {"n": norm2d(), "a": conv(kernel=1, padding=0)},
        "is read by aten.add",
    ),
    "half of the concat is an input": (
        lambda s, x: s.n(torch.cat([s.a(x), x], 1)),
        {"a": conv(), "n": norm2d(8)},
        "through the concat",
    ),
    "one tensor twice in the concat": (
        lambda s, x: s.n(torch.cat([y := s.a(x), y], 1)),
        {"a": conv(), "n": norm2d(8)},
        "reads one tensor twice",
    ),
    "a norm called twice on its own output": (
        lambda s, x: s.n(s.n(x)).relu(),
        {"n": norm2d()},
        "called more than once|read by",
    ),
    "a transposed convolution, in its general form": (
        lambda s, x: torch.convolution(s.n(x), s.a.weight, None, [1, 1], [0, 0], [1, 1], True, [0, 0], 1),
        {"n": norm2d(), "a": conv()},
        "transposed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    forward, layers, why = REFUSED[name]
    result, _, _ = check(Lambda(forward, **layers), picture(batch=2, channels=4, size=6))
    assert not result.changes
    for refusal in result.refusals:
        assert re.search(why, refusal.why), refusal.why


def test_a_transposed_convolution_in_its_general_form_takes_the_norm_behind_it():
    def forward(s, x):
        return s.n(torch.convolution(x, s.a.weight, None, [2, 2], [0, 0], [1, 1], True, [0, 0], 2))

    layers = {"a": nn.ConvTranspose2d(4, 6, 3, groups=2), "n": norm2d(6)}
    result, _, _ = check(Lambda(forward, **layers), picture(batch=2, channels=4, size=6))
    assert norms_left(result.graph) == 0
