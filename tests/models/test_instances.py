"""The instance segmenters: their shapes, both forms of masks, sizes, options."""

import importlib.util

import pytest
import torch
from tiny_tasks import CHANNELS, Backbone, instances

from mocovit_deploy.boxes.anchors import anchors
from mocovit_deploy.errors import UsageError
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.cost import summarize
from mocovit_deploy.models.heads.instances import InstanceConfig, InstanceSegmenter
from mocovit_deploy.models.instances import NAMES, build
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import ModelSpec, OwnInput

SIDES = (64, 96)


def test_an_instance_segmenter_of_mocovit():
    given = OwnInput(size=64, width=96)
    network = load_network(
        ModelSpec("mocovit_0_5_yolact", (("prototypes", "6"),), num_classes=5, input=given)
    )
    assert network.output_names == ("scores", "boxes", "coefficients", "prototypes")
    with torch.no_grad():
        found = network.module(torch.zeros(1, 3, *SIDES))
    count = len(anchors(SIDES))
    assert found["scores"].shape == (1, count, 5)
    assert found["boxes"].shape == (1, count, 4)
    assert found["coefficients"].shape == (1, count, 6)
    assert found["prototypes"].shape == (1, 16, 24, 6)
    assert (network.task["kind"], network.task["mask_stride"]) == ("instances", 4)
    assert network.task["outputs"]["prototypes"] == "prototypes"


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
def test_an_instance_segmenter_of_ghostnet():
    assert "ghostnet_1_0_yolact" in NAMES
    network = build(ModelSpec("ghostnet_0_5_yolact", input=OwnInput(size=64))).eval()
    assert network(torch.zeros(1, 3, 64, 64))["prototypes"].shape == (1, 16, 16, 32)


def test_a_decoded_network_assembles_the_masks_itself():
    raw, decoded = instances(), instances(boxes="decoded")
    decoded.load_state_dict(raw.state_dict())
    image = torch.randn(1, 3, *SIDES)
    with torch.no_grad():
        one, other = raw(image), decoded(image)
    assert list(other) == ["scores", "boxes", "masks"]
    wanted = torch.einsum("nak,nrck->narc", one["coefficients"].tanh(), one["prototypes"]).sigmoid()
    assert wanted.std() > 0.01
    assert torch.allclose(other["masks"], wanted, atol=1e-6)


def test_its_objects_are_those_of_the_detector_inside():
    network = instances()
    image = torch.randn(1, 3, *SIDES)
    with torch.no_grad():
        found, alone = network(image), network.found(network.pyramid(network.backbone(image)))
    assert all(torch.equal(found[name], alone[name]) for name in ("scores", "boxes"))


@pytest.mark.slow
@pytest.mark.parametrize(("boxes", "millions"), [("raw", 466), ("decoded", 1771)])
def test_what_it_costs(boxes, millions):
    network = build(ModelSpec("mocovit_1_0_yolact", input=OwnInput(size=320), boxes=boxes)).eval()
    total = summarize(network, capture(network, [torch.zeros(1, 3, 320, 320)])).total
    assert (total.macs + total.attention_macs) / 1e6 == pytest.approx(millions, abs=0.6)


@pytest.mark.parametrize("sides", [(40, 100), (33, 65)])
def test_sizes_that_no_stride_divides(sides):
    network = InstanceSegmenter(Backbone(), CHANNELS, InstanceConfig(3, 8, prototypes=4), sides).eval()
    rows, columns = (2 * -(-side // 8) for side in sides)
    assert network(torch.randn(1, 3, *sides))["prototypes"].shape == (1, rows, columns, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prototypes": "0"}, "model argument prototypes: 0 is not above 0"),
        ({"width": "0"}, "model argument width: 0 is not above 0"),
        ({"prototype": "8"}, "did you mean 'prototypes'"),
    ],
)
def test_options_that_cannot_be(arguments, message):
    with pytest.raises(UsageError, match=message):
        build(ModelSpec("mocovit_0_5_yolact", tuple(arguments.items())))
