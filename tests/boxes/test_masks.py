"""Masks of instances in numpy: against PyTorch's enlarging, arithmetic by hand, and at the edges."""

import numpy as np
import pytest

from mocovit_deploy.boxes.anchors import RATIOS, SIDE, STRIDES, anchors
from mocovit_deploy.boxes.decode import SCALES, sigmoid
from mocovit_deploy.boxes.masks import enlarged, instances
from mocovit_deploy.errors import ParityError, UsageError

SIDES = (64, 96)
TASK = {
    "kind": "instances",
    "outputs": {name: name for name in ("scores", "boxes", "coefficients", "prototypes")},
    "boxes": "raw",
    "image_size": list(SIDES),
    "strides": list(STRIDES),
    "ratios": list(RATIOS),
    "anchor_side": SIDE,
    "scales": list(SCALES),
    "mask_stride": 4,
}


def given(coefficient=4.0):
    """One object, of anchor 160, whose mask is the left half of the image by its one prototype."""
    priors = anchors(SIDES)
    scores = np.full((1, len(priors), 2), -9.0, np.float32)
    scores[0, 160, 1] = 2.0
    coefficients = np.zeros((1, len(priors), 1), np.float32)
    coefficients[0, 160] = coefficient
    prototypes = np.full((1, 16, 24, 1), -1.0, np.float32)
    prototypes[:, :, :12] = 1.0
    boxes = np.zeros((1, len(priors), 4), np.float32)
    return {"scores": scores, "boxes": boxes, "coefficients": coefficients, "prototypes": prototypes}


def test_a_mask_is_the_sum_of_prototypes_cut_to_its_box():
    (found,) = instances(TASK, given())
    assert (found.detection.label, found.detection.anchor) == (1, 160)
    top, left, bottom, right = found.detection.box
    wanted = np.zeros(SIDES, bool)
    wanted[max(0, round(top * 64)) : round(bottom * 64), max(0, round(left * 96)) : 48] = True
    assert left * 96 < 48 < right * 96
    assert np.array_equal(found.mask, wanted)


def test_a_negative_coefficient_gives_the_other_half():
    (one,), (other,) = instances(TASK, given()), instances(TASK, given(-4.0))
    assert one.mask.any()
    assert other.mask.any()
    assert not (one.mask & other.mask).any()


def test_a_decoded_file_says_the_same():
    raw = given()
    masks = sigmoid(np.einsum("nak,nrck->narc", np.tanh(raw["coefficients"]), raw["prototypes"]))
    task = {**TASK, "outputs": {name: name for name in ("scores", "boxes", "masks")}, "boxes": "decoded"}
    top = anchors(SIDES)
    boxes = np.concatenate([top[:, :2] - top[:, 2:] / 2, top[:, :2] + top[:, 2:] / 2], axis=1)[None]
    (found,) = instances(task, {"scores": sigmoid(raw["scores"]), "boxes": boxes, "masks": masks})
    assert np.array_equal(found.mask, instances(TASK, raw)[0].mask)


@pytest.mark.parametrize(("shape", "factor", "sides"), [((3, 5), 4, (12, 20)), ((2, 4), 8, (13, 30))])
def test_enlarging_is_that_of_pytorch(shape, factor, sides):
    torch = pytest.importorskip("torch")
    maps = np.random.default_rng(0).normal(size=(2, *shape))
    large = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[None], scale_factor=factor, mode="bilinear", align_corners=False
    )
    assert np.allclose(enlarged(maps, factor, sides), large[0, :, : sides[0], : sides[1]].numpy())


def test_no_object_has_no_mask():
    assert instances(TASK, given(), least_score=0.99) == ()


@pytest.mark.parametrize("name", ["coefficients", "prototypes"])
def test_masks_with_nan_are_refused(name):
    outputs = given()
    outputs[name][...] = np.nan
    with pytest.raises(ParityError, match=f"{name} holds NaN or infinity"):
        instances(TASK, outputs)


def test_a_detector_gives_no_masks():
    with pytest.raises(UsageError, match="the file gives no masks; its task is detection"):
        instances({**TASK, "kind": "detection"}, given())
