import pytest
import torch
from networks import tiny_mocovit
from torch import nn

from mocovit_deploy.errors import UsageError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.cost import summarize
from mocovit_deploy.models.mocovit import NAMES, build
from mocovit_deploy.models.mocovit_network import Ghost, MoCoViT, MoCoViTConfig, SqueezeExcite
from mocovit_deploy.spec import InputSpec, ModelSpec


def count(module: nn.Module, kind: type) -> int:
    return sum(isinstance(child, kind) for child in module.modules())


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# Published: 5.3 M parameters and 147 M MACs (arXiv:2205.12635 abstract; arXiv:2412.06674, table VII).
def test_the_published_network():
    network = build(ModelSpec("mocovit_1_0"))
    assert parameters(network) == 5_300_268
    assert count(network, nn.Conv2d) == 115
    assert count(network, nn.BatchNorm2d) == 100
    assert count(network, Ghost) == 40
    assert count(network, SqueezeExcite) == 7
    assert count(network, nn.Linear) == 1
    total = summarize(network, capture(network, [torch.zeros(1, 3, 224, 224)])).total
    assert total.parameters == 5_300_268
    assert total.macs == 146_732_592
    assert total.attention_macs == 3_073_280


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mocovit_0_5", 2_620_572),
        ("mocovit_0_75", 3_800_026),
        ("mocovit_1_3", 7_551_844),
        ("mocovit_1_5", 9_319_928),
    ],
)
def test_extrapolated_widths(name, expected):
    assert parameters(build(ModelSpec(name))) == expected


# Each reading was computed independently of this code, to the digits given.
@pytest.mark.parametrize(
    ("options", "millions"),
    [
        ({"transformer_se": (True,) * 4, "transformer_se_ratio": 0.125}, 5.302),
        ({"transformer_se": (True,) * 4}, 6.224),
        ({"transformer_se": (False,) * 4}, 4.376),
        ({"refiner_kernel": 5}, 5.311),
    ],
)
def test_other_readings_of_the_paper(options, millions):
    assert parameters(MoCoViT(MoCoViTConfig(**options))) / 1e6 == pytest.approx(millions, abs=5e-4)


def test_refiner_without_batchnorm_saves_two_parameters_a_channel():
    with_norm, without = (MoCoViT(MoCoViTConfig(refiner_batchnorm=flag)) for flag in (True, False))
    assert parameters(with_norm) - parameters(without) == 4 * 2 * 160


@pytest.mark.parametrize("name", NAMES)
def test_every_width_runs_at_any_size(name):
    network = build(ModelSpec(name, num_classes=7)).eval()
    for size in (33, 96):
        assert network(torch.zeros(2, 3, size, size)).shape == (2, 7)


def test_attention_sees_all_positions():
    network = tiny_mocovit()
    attention = network.blocks[12].attention
    x = torch.randn(1, 40, 3, 3, requires_grad=True)
    attention(x)[0, :, 0, 0].sum().backward()
    assert (x.grad[0, :, 2, 2].abs() > 0).any(), "the far corner reaches the near one"


@pytest.mark.parametrize(
    "options", [{"value_relu": True}, {"attention_relu": True}, {"ffn_relu": False}, {"num_heads": 2}]
)
def test_what_the_paper_leaves_open_changes_the_function_not_the_size(options):
    default, other = tiny_mocovit(), tiny_mocovit(**options)
    other.load_state_dict(default.state_dict())
    x = torch.randn(1, 3, 64, 64)
    assert not torch.allclose(default(x), other(x))


def test_arguments_by_name():
    spec = ModelSpec(
        "mocovit_1_0", (("num_heads", "2"), ("transformer_se", "0000"), ("refiner_batchnorm", "no"))
    )
    network = build(spec)
    assert network.blocks[12].attention.heads == 2
    assert count(network, SqueezeExcite) == 5


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (("num_head", "2"), "did you mean 'num_heads'"),
        (("num_heads", "two"), "not a whole number"),
        (("transformer_se", "01"), "not 4 digits 0 or 1"),
        (("value_relu", "maybe"), "not yes or no"),
        (("num_heads", "3"), "does not divide"),
    ],
)
def test_bad_arguments(argument, message):
    with pytest.raises(UsageError, match=message):
        build(ModelSpec("mocovit_1_0", (argument,)))


def test_three_channels_only():
    with pytest.raises(UsageError, match="3 channels"):
        build(ModelSpec("mocovit_1_0", input=InputSpec(channels=1)))
