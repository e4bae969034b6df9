"""The trained networks in the folder: what their records say, and as good as these say."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from examples.digits import checkpoint, data
from examples.digits.networks import NETWORKS, Trained
from examples.digits.reference import answers
from examples.digits.train import BATCH
from mocovit_deploy.models.load import load_network

IMAGES = 300
BAND = (0.88, 0.98)
"""Right often enough to be useful, wrong often enough that a worse file shows."""


@pytest.fixture(scope="module")
def held_out() -> data.Split:
    return data.held_out()


@pytest.mark.parametrize("trained", NETWORKS, ids=lambda one: one.name)
def test_a_trained_network_is_what_its_record_says(trained: Trained, held_out: data.Split) -> None:
    record = checkpoint.read_record(trained.checkpoint)  # raises where the digest differs
    assert trained.checkpoint.stat().st_size <= 3_000_000
    assert (record.model, record.image_size, record.arguments) == (
        trained.model,
        trained.size,
        trained.arguments,
    )
    assert record.training_images == trained.steps * BATCH
    spec = record.spec(trained.checkpoint)
    network = load_network(spec).module
    assert checkpoint.serialized(checkpoint.stored(network)) == trained.checkpoint.read_bytes()
    found = answers(network, held_out, spec.input, IMAGES)
    assert record.held_out_images == data.HELD_OUT_IMAGES
    assert BAND[0] <= record.accuracy <= BAND[1]
    # Four standard errors; wrong weights or preprocessing are tens of points away.
    spread = 4 * (record.accuracy * (1 - record.accuracy) / IMAGES) ** 0.5
    assert abs(float((found == held_out.labels[:IMAGES]).mean()) - record.accuracy) <= spread
