"""EfficientViT's segmentation: published parameters and MACs, sizes, options, and what is refused."""

import importlib.util

import pytest
import torch
from tiny_tasks import CHANNELS, Backbone, segmenter

from mocovit_deploy.errors import UsageError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.cost import summarize
from mocovit_deploy.models.heads.segmentation import SegmentationConfig, SegmentationHead, Segmenter
from mocovit_deploy.models.load import load_network
from mocovit_deploy.models.segmentation import NAMES, build, own_input
from mocovit_deploy.spec import ModelSpec, OwnInput

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")

# name, parameters in millions, MACs with attention in billions: mit-han-lab/efficientvit, applications/seg
PUBLISHED = [
    ("efficientvit_b0_seg", 0.707, 3.86),
    ("efficientvit_b1_seg", 4.803, 19.22),
]


@needs_timm
@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters", "macs"), PUBLISHED)
def test_parameters_and_macs_are_those_published(name, parameters, macs):
    network = build(ModelSpec(name)).eval()
    image = torch.zeros(own_input(ModelSpec(name), network).shape)
    total = summarize(network, capture(network, [image])).total
    assert total.parameters / 1e6 == pytest.approx(parameters, abs=5e-4)
    assert (total.macs + total.attention_macs) / 1e9 == pytest.approx(macs, abs=5e-3)


@needs_timm
@pytest.mark.parametrize(
    ("name", "parameters"), [("efficientvit_b0_seg", 706_691), ("efficientvit_b1_seg", 4_803_443)]
)
def test_parameters(name, parameters):
    assert sum(one.numel() for one in build(ModelSpec(name)).parameters()) == parameters


def test_mocovit_with_the_same_head():
    network = load_network(ModelSpec("mocovit_0_5_seg", num_classes=5, input=OwnInput(size=64, width=96)))
    assert network.output_names == ("segmentation",)
    assert network.stem == "mocovit_0_5_seg_64x96"
    with torch.no_grad():
        assert network.module(torch.zeros(1, 3, 64, 96))["segmentation"].shape == (1, 8, 12, 5)
    assert network.task == {
        "kind": "segmentation",
        "outputs": {"segmentation": "segmentation"},
        "classes": 5,
        "stride": 8,
        "scores": "logits, one a class",
    }
    assert network.remark == ""


def test_every_name_says_its_size():
    assert own_input(ModelSpec("efficientvit_b1_seg"), torch.nn.Identity()).sides == (896, 1792)
    assert own_input(ModelSpec("mocovit_1_0_seg"), torch.nn.Identity()).sides == (512, 512)
    assert len(NAMES) == 9


def test_places_stay_where_they_are_at_sizes_that_no_stride_divides():
    """A fine map that lacks its last row and column, as of 60 x 92 pixels, leaves the other scores alone."""
    head = SegmentationHead(CHANNELS, SegmentationConfig(3, width=8, depth=0)).eval()
    fine, *coarse = Backbone().eval()(torch.randn(1, 3, 64, 96))
    with torch.no_grad():
        whole, cut = head([fine, *coarse]), head([fine[..., :-1, :-1], *coarse])
    assert torch.allclose(cut, whole[:, :-1, :-1], atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (50, 90), (33, 65), (8, 8)])
def test_every_eighth_pixel_has_scores(height, width):
    found = segmenter().eval()(torch.randn(1, 3, height, width))["segmentation"]
    assert found.shape == (1, -(-height // 8), -(-width // 8), 3)


def test_a_size_that_32_does_not_divide_is_said():
    network = load_network(ModelSpec("mocovit_0_5_seg", input=OwnInput(size=40, width=100)))
    assert network.remark == (
        "32 does not divide the sides of an image of 40 x 100: the maps of mocovit_0_5_seg cover 64 x 128, "
        "past the image's edge; nothing is moved or stretched"
    )


def test_bilinear_upsampling_is_another_network_of_the_same_weights():
    bicubic, bilinear = (segmenter(upsampling=one) for one in ("bicubic", "bilinear"))
    bilinear.load_state_dict(bicubic.state_dict())
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        one, other = (network(image)["segmentation"] for network in (bicubic, bilinear))
    assert 1e-3 < (one - other).abs().max() / (one.max() - one.min()) < 0.5


def test_without_a_wider_last_layer():
    head = SegmentationHead(CHANNELS, SegmentationConfig(7, width=8, final_expand=1, depth=0))
    assert isinstance(head.widen, torch.nn.Identity)
    maps = Backbone()(torch.randn(2, 3, 64, 64))
    assert head(maps).shape == (2, 8, 8, 7)
    assert Segmenter(Backbone(), CHANNELS, SegmentationConfig()).task.facts["classes"] == 19


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"upsampling": "bilnear"}, "did you mean 'bilinear'"),
        ({"depth": "-1"}, "model argument depth: -1 is below 0"),
        ({"width": "0"}, "model argument width: 0 is not above 0"),
        ({"wdith": "8"}, "did you mean 'width'"),
    ],
)
def test_options_that_cannot_be(arguments, message):
    with pytest.raises(UsageError, match=message):
        build(ModelSpec("mocovit_0_5_seg", tuple(arguments.items())))


def test_maps_of_a_segmenter_are_not_to_be_had():
    with pytest.raises(UsageError, match="--features: works for .*, not for mocovit_0_5_seg"):
        load_network(ModelSpec("mocovit_0_5_seg", features=(8,)))


def test_a_name_that_comes_close():
    with pytest.raises(UsageError, match="did you mean 'mocovit_1_0_seg'"):
        load_network(ModelSpec("mocovit_1_0_sge"))
