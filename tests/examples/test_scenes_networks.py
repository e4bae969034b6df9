"""The networks trained on scenes: what their records say, and as good as these say."""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")
pytest.importorskip("pycocotools", reason="pycocotools is not installed")

from examples.digits import checkpoint
from examples.scenes import judge, train
from examples.scenes.checkpoint import read_record
from examples.scenes.data import HELD_OUT_SCENES
from examples.scenes.networks import NETWORKS, SIZE, Trained
from mocovit_deploy.models.load import load_network

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("timm") is None,
    reason="timm, which GhostNet and EfficientViT need, is not installed",
)
SCENES = 60
LEAST = {"box AP": 0.25, "mask AP": 0.15, "mean IoU": 0.4}
"""Good enough that a worse file shows."""


@pytest.mark.parametrize("trained", NETWORKS, ids=lambda one: one.model)
def test_a_trained_network_is_what_its_record_says(trained: Trained) -> None:
    record = read_record(trained.checkpoint)  # raises where the digest differs
    assert trained.checkpoint.stat().st_size <= 3_000_000
    assert (record.model, record.arguments, record.image_size) == (trained.model, trained.arguments, SIZE)
    assert record.training_images == trained.steps * train.BATCH
    assert record.held_out_images == HELD_OUT_SCENES
    classifier = checkpoint.read_record(trained.classifier.checkpoint)
    assert record.backbone == f"{trained.classifier.checkpoint.name}, sha256 {classifier.sha256}"
    network = load_network(record.spec(trained.checkpoint)).module
    assert checkpoint.serialized(checkpoint.stored(network)) == trained.checkpoint.read_bytes()
    assert tuple(record.figures) == judge.FIGURES[trained.kind]
    # 60 scenes scatter by a few points; wrong weights or preprocessing are tens of points away.
    for name, value in train.measure(network, trained, SCENES).items():
        assert record.figures[name] >= LEAST[name]
        assert value == pytest.approx(record.figures[name], abs=0.1)
