import pytest
import torch
from networks import Lambda, randomise_batchnorm
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.passes.fold_normalization import fold_normalization
from mocovit_deploy.passes.run import outputs_of, relative_error, run_passes

aten = torch.ops.aten
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PIXELS = torch.randint(256, (2, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def column(values):
    return torch.tensor(values).reshape(-1, 1, 1)


def network(forward, **layers):
    made = Lambda(forward, **layers)
    for name, values in (("mean", MEAN), ("std", STD)):
        made.register_buffer(name, column(values))
    made.register_buffer("order", torch.tensor([2, 0, 1]))
    return made


def fold(made, example=PIXELS):
    """The fold in float64, against the network itself."""
    made = made.double().eval()
    graph = capture(made, [example])
    result = fold_normalization(graph)
    assert relative_error(outputs_of(graph, [example]), outputs_of(result.graph, [example])) <= 1e-12
    return result


def operations(graph):
    return [node.target for node in graph.graph.nodes if node.op == "call_function"]


def normalized(s, x):
    return (x.to(s.mean.dtype) / 255 - s.mean) / s.std


PADDED = nn.Conv2d(3, 4, 3, padding=1)
OPEN = nn.Conv2d(3, 4, 3, bias=False)


def test_the_mean_alone_is_left_before_a_convolution_that_pads():
    result = fold(network(lambda s, x: s.conv(normalized(s, x)), conv=PADDED))
    assert operations(result.graph) == [aten.to.dtype, aten.sub.Tensor, aten.conv2d.default]
    stored = dict(result.graph.named_parameters())["conv.pixel_mean"]
    assert torch.allclose(stored.flatten(), 255 * torch.tensor(MEAN).double())
    assert result.changes[0].where == "conv"


def test_nothing_is_left_before_a_convolution_that_does_not_pad():
    result = fold(network(lambda s, x: s.conv(normalized(s, x)), conv=OPEN))
    assert operations(result.graph) == [aten.to.dtype, aten.conv2d.default]


FOLDED = {
    "reversed channels": lambda s, x: s.conv(normalized(s, x.flip(1))),
    "channels in another order": lambda s, x: s.conv(normalized(s, x).index_select(1, s.order)),
    "an index": lambda s, x: s.conv(normalized(s, x)[:, s.order]),
    "a scale alone": lambda s, x: s.conv(x.to(s.mean.dtype) * (1 / 255)),
    "one mean for all": lambda s, x: s.conv((x.to(s.mean.dtype) - 127.5) / 127.5),
    "two readers": lambda s, x: s.conv(normalized(s, x)) + s.other(normalized(s, x)),
    "zeros before": lambda s, x: s.conv(nn.functional.pad(normalized(s, x), (0, 1, 0, 1))),
    "mirrored borders": lambda s, x: s.conv(nn.functional.pad(normalized(s, x), (1, 1, 1, 1), "reflect")),
    "a BatchNorm": lambda s, x: s.conv(s.norm(x.to(s.mean.dtype))),
}


@pytest.mark.parametrize("conv", [PADDED, OPEN], ids=["padded", "not padded"])
@pytest.mark.parametrize("name", FOLDED)
def test_exact(name, conv):
    norm = nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.running_mean.copy_(torch.tensor([100.0, 120.0, 90.0]))
        norm.running_var.copy_(torch.tensor([60.0, 50.0, 70.0]))
    other = nn.Conv2d(3, 4, conv.kernel_size, padding=conv.padding)
    if name == "two readers":
        shared = Lambda(lambda s, x: s.conv(x) + s.other(x), conv=conv, other=other)
        result = fold(network(lambda s, x: s.rest(normalized(s, x)), rest=shared))
    else:
        result = fold(network(FOLDED[name], conv=conv, norm=norm))
    assert result.changes
    assert not result.refusals
    left = set(operations(result.graph))
    assert not left & {aten.div.Tensor, aten.mul.Tensor, aten.flip.default, aten.index.Tensor}
    assert not left & {aten.index_select.default, aten.batch_norm.default}


def with_itself(s, x):
    tensor = normalized(s, x)
    return tensor, s.conv(tensor)


REFUSED = {
    "the output too": (with_itself, "the network's output"),
    "no convolution": (lambda s, x: normalized(s, x).relu(), "not only by convolutions"),
    "a channel scaled by 0": (lambda s, x: s.conv(x.to(s.mean.dtype) * s.zero), "by 0"),
    "groups after another order": (lambda s, x: s.deep(normalized(s, x.flip(1))), "with groups"),
    "weights used twice": (lambda s, x: s.same(s.same(normalized(s, x))), "more than once"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    forward, why = REFUSED[name]
    layers = {"deep": nn.Conv2d(3, 3, 3, groups=3), "same": nn.Conv2d(3, 3, 3, padding=1)}
    made = network(forward, conv=nn.Conv2d(3, 4, 3, padding=1), **layers)
    made.register_buffer("zero", column((1.0, 0.0, 1.0)))
    result = fold(made)
    assert not result.changes
    assert why in result.refusals[0].why


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: s.conv(x),
        lambda s, x: s.conv(x - s.mean),
        lambda s, x: s.conv(x * x),
        lambda s, x: s.conv(x + s.full),
    ],
    ids=["no normalization", "the mean alone", "not affine", "not one number a channel"],
)
def test_nothing_to_do(forward):
    made = network(forward, conv=nn.Conv2d(3, 4, 3, padding=1))
    made.register_buffer("full", torch.rand(1, 3, 8, 8))
    result = fold(made, torch.rand(1, 3, 8, 8, dtype=torch.float64))
    assert not result.changes


def test_bytes_wrap():
    result = fold(network(lambda s, x: s.conv((x + 200).to(s.mean.dtype)), conv=nn.Conv2d(3, 4, 3)))
    assert not result.changes


def test_in_the_line_after_the_batchnorms():
    """BatchNorms are folded into the convolution first; the proof of `run_passes` holds over all of it."""
    inner = randomise_batchnorm(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU()))
    made = network(lambda s, x: s.inner(normalized(s, x)), inner=inner).eval()
    result = run_passes(capture(made, [PIXELS]), [PIXELS])
    proof = next(one for one in result.proofs if one.name == "fold_normalization")
    assert len(proof.changes) == 1
    assert proof.error <= proof.bound
