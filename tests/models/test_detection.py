"""The detectors: their shapes, both forms of boxes, sizes, options, and what is refused."""

import importlib.util

import pytest
import torch
from tiny_tasks import CHANNELS, Backbone, detector

from mocovit_deploy.boxes.anchors import anchors
from mocovit_deploy.boxes.decode import decode_locations
from mocovit_deploy.errors import UsageError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.cost import summarize
from mocovit_deploy.models.detection import build
from mocovit_deploy.models.heads.detection import DetectionConfig, Detector
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import ModelSpec, OwnInput

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
SIDES = (64, 96)


def test_a_detector_of_mocovit():
    network = load_network(
        ModelSpec("mocovit_0_5_retinanet", num_classes=5, input=OwnInput(size=64, width=96))
    )
    assert network.output_names == ("scores", "boxes")
    assert network.stem == "mocovit_0_5_retinanet_64x96"
    with torch.no_grad():
        found = network.module(torch.zeros(1, 3, *SIDES))
    assert found["scores"].shape == (1, len(anchors(SIDES)), 5)
    assert found["boxes"].shape == (1, len(anchors(SIDES)), 4)
    assert network.task["kind"] == "detection"
    assert network.task["image_size"] == [64, 96]
    assert network.task["boxes"] == "raw"


@needs_timm
def test_ghostnet_stands_in_the_same_detector():
    ours, theirs = (build(ModelSpec(f"{name}_1_0_retinanet")) for name in ("mocovit", "ghostnet"))
    heads = [
        sum(one.numel() for part in (net.pyramid.smooth, net.scores, net.boxes) for one in part.parameters())
        for net in (ours, theirs)
    ]
    assert heads[0] == heads[1]
    assert [one[0].in_channels for one in ours.pyramid.narrow] == [40, 112, 160]
    assert [one[0].in_channels for one in theirs.pyramid.narrow] == [40, 80, 160]  # the maps timm gives


@pytest.mark.slow
@pytest.mark.parametrize(("size", "millions"), [(320, 382), (640, 1678)])
def test_what_it_costs(size, millions):
    network = build(ModelSpec("mocovit_1_0_retinanet", input=OwnInput(size=size))).eval()
    total = summarize(network, capture(network, [torch.zeros(1, 3, size, size)])).total
    assert (total.macs + total.attention_macs) / 1e6 == pytest.approx(millions, abs=0.5)


def test_decoded_boxes_are_those_that_numpy_decodes():
    raw, decoded = detector(), detector(boxes="decoded")
    decoded.load_state_dict(raw.state_dict())
    image = torch.randn(1, 3, *SIDES)
    with torch.no_grad():
        one, other = raw(image), decoded(image)
    assert torch.allclose(other["scores"], one["scores"].sigmoid(), atol=1e-6)
    wanted = decode_locations(one["boxes"][0].numpy(), anchors(SIDES))
    assert torch.allclose(other["boxes"][0].double(), torch.from_numpy(wanted), atol=1e-5)


def test_a_checkpoint_fits_at_every_size():
    small, large = (
        Detector(Backbone(), CHANNELS, DetectionConfig(3, 8), sides) for sides in ((64, 96), (96, 96))
    )
    large.load_state_dict(small.state_dict())


@pytest.mark.parametrize("sides", [(40, 100), (33, 65)])
def test_sizes_that_no_stride_divides(sides):
    network = Detector(Backbone(), CHANNELS, DetectionConfig(3, 8), sides).eval()
    assert network(torch.randn(1, 3, *sides))["boxes"].shape[1] == len(anchors(sides))


@pytest.mark.parametrize(
    ("size", "covered"), [((64, 128), ""), ((64, 96), "64 x 128"), ((320, 320), ""), ((65, 64), "128 x 64")]
)
def test_a_remark_names_the_stride_that_does_not_divide_the_image(size, covered):
    height, width = size
    network = load_network(ModelSpec("mocovit_0_5_retinanet", input=OwnInput(size=height, width=width)))
    assert network.remark.startswith("64 does not divide the sides") == bool(covered)
    assert f"cover {covered}," in network.remark or not covered


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": "-1"}, "model argument depth: -1 is below 0"),
        ({"width": "0"}, "model argument width: 0 is not above 0"),
        ({"classes": "8"}, "did you mean 'num_classes'"),
    ],
)
def test_options_that_cannot_be(arguments, message):
    with pytest.raises(UsageError, match=message):
        build(ModelSpec("mocovit_0_5_retinanet", tuple(arguments.items())))


@pytest.mark.parametrize(
    ("name", "boxes", "message"),
    [
        ("mocovit_0_5", "raw", "--boxes: works for mocovit_0_5_retinanet, .*, not for mocovit_0_5"),
        ("mocovit_0_5_retinanet", "decodde", "did you mean 'decoded'"),
    ],
)
def test_forms_of_boxes_that_cannot_be(name, boxes, message):
    with pytest.raises(UsageError, match=message):
        load_network(ModelSpec(name, boxes=boxes))


def test_a_head_begins_with_rare_objects():
    made = Detector(Backbone(), CHANNELS, DetectionConfig(3, 8), SIDES)
    assert made.scores.last.bias.sigmoid().tolist() == pytest.approx([0.01] * 9, rel=1e-4)
