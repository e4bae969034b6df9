"""What detectors and segmenters are trained to: matching, encoding, and losses that fall to their least."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import torch

from examples.digits.data import held_out
from examples.scenes import data, losses
from mocovit_deploy.boxes.anchors import anchors
from mocovit_deploy.boxes.decode import decode_locations

SIZE = 64
PRIORS = torch.tensor(anchors((SIZE, SIZE)), dtype=torch.float32)


@pytest.fixture(scope="module")
def scenes() -> tuple[data.Scene, ...]:
    return data.scenes(held_out(), 3, SIZE)


def perfect(scenes: tuple[data.Scene, ...], wrong: float = 0.0) -> dict[str, torch.Tensor]:
    """Outputs that say the truth, with locations that are off by `wrong`."""
    scores, boxes = [], []
    for scene in scenes:
        truth = torch.from_numpy(scene.boxes) / SIZE
        found = losses.matches(PRIORS, truth)
        logits = torch.full((len(PRIORS), data.CLASSES), -12.0)
        having = found >= 0
        logits[having.nonzero()[:, 0], torch.from_numpy(scene.labels)[found[having]]] = 12.0
        locations = torch.zeros(len(PRIORS), 4)
        locations[having] = losses.encoded(truth[found[having]], PRIORS[having]) + wrong
        scores.append(logits)
        boxes.append(locations)
    return {"scores": torch.stack(scores), "boxes": torch.stack(boxes)}


def test_every_object_has_an_anchor_and_far_ones_have_none(scenes: tuple[data.Scene, ...]) -> None:
    for scene in scenes:
        found = losses.matches(PRIORS, torch.from_numpy(scene.boxes) / SIZE)
        assert set(range(len(scene.labels))) <= set(found.tolist())
        assert (found == losses.NOTHING).float().mean() > 0.5
    assert (losses.matches(PRIORS, torch.zeros(0, 4)) == losses.NOTHING).all()


def test_an_anchor_of_an_objects_shape_has_it() -> None:
    prior = PRIORS[100]
    box = torch.cat([prior[:2] - prior[2:] / 2, prior[:2] + prior[2:] / 2])[None]
    found = losses.matches(PRIORS, box)
    assert found[100] == 0
    assert losses.EITHER in found


def test_encoding_is_what_decoding_undoes(scenes: tuple[data.Scene, ...]) -> None:
    boxes = torch.from_numpy(scenes[0].boxes) / SIZE
    priors = PRIORS[: len(boxes)]
    decoded = decode_locations(losses.encoded(boxes, priors).numpy(), priors.numpy().astype(np.float64))
    assert np.allclose(decoded, boxes.numpy(), atol=1e-5)


def test_the_truth_costs_nothing_and_errors_cost(scenes: tuple[data.Scene, ...]) -> None:
    least = losses.detection_loss(perfect(scenes), scenes, PRIORS)
    assert least < 1e-3
    assert losses.detection_loss(perfect(scenes, 1.0), scenes, PRIORS) > least + 0.3
    silent = perfect(scenes)
    silent["scores"] = torch.full_like(silent["scores"], -12.0)
    assert losses.detection_loss(silent, scenes, PRIORS) > least + 1


def test_masks_of_the_truth_cost_nothing(scenes: tuple[data.Scene, ...]) -> None:
    scene = scenes[0]
    small = torch.nn.functional.avg_pool2d(torch.from_numpy(scene.masks).float()[:, None], 4)[:, 0].round()
    prototypes = 60 * (small.permute(1, 2, 0) - 0.5)
    count = len(scene.labels)
    owners = torch.arange(count)
    assert losses.mask_loss(20 * torch.eye(count), prototypes, scene, owners) < 1e-3
    assert losses.mask_loss(-20 * torch.eye(count), prototypes, scene, owners) > 10
    assert losses.mask_loss(torch.zeros(count, count), prototypes, scene, owners) == pytest.approx(
        count * np.log(2), rel=1e-4
    )


def test_a_segmenter_that_says_the_truth_costs_little() -> None:
    owners = np.zeros((SIZE, SIZE), np.uint8)
    owners[:, 32:] = 1
    scene = data.Scene(np.zeros((SIZE, SIZE, 3), np.uint8), owners, np.array([4]))
    scores = torch.full((1, 8, 8, 11), -20.0)
    scores[:, :, :4, 0] = scores[:, :, 4:, 5] = 20.0
    right = losses.segmentation_loss({"segmentation": scores}, [scene])
    assert right < 0.02
    assert losses.segmentation_loss({"segmentation": scores.flip(2)}, [scene]) > 10
