"""The committed network: what its record says, as good as it says, and with attention that attends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

import torch
from safetensors.torch import load_file

from examples.digits import checkpoint, data
from examples.digits.reference import answers
from examples.digits.train import CHECKPOINT
from mocovit_deploy.accuracy.evaluate import evaluate
from mocovit_deploy.errors import UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.models.load import load_network
from mocovit_deploy.models.mocovit_network import MobileSelfAttention
from mocovit_deploy.spec import InputSpec

IMAGES = 500
BAND = (0.90, 0.98)
"""Right often enough to be useful, wrong often enough that a worse file shows."""


@pytest.fixture(scope="module")
def record() -> checkpoint.Record:
    return checkpoint.read_record(CHECKPOINT)


@pytest.fixture(scope="module")
def network(record: checkpoint.Record) -> torch.nn.Module:
    return load_network(record.spec(CHECKPOINT)).module


@pytest.fixture(scope="module")
def held_out() -> data.Split:
    return data.held_out()


def test_the_record_speaks_of_this_file(record: checkpoint.Record) -> None:
    assert digest(CHECKPOINT) == record.sha256
    assert record.held_out_images >= 5000
    assert record.image_size >= 96


def test_the_checkpoint_is_small() -> None:
    assert CHECKPOINT.stat().st_size <= 3_000_000


def test_stored_numbers_are_the_network(network: torch.nn.Module) -> None:
    """Matrices in fp16, vectors in fp32, widened without loss; storing the network again gives the file."""
    tensors = load_file(CHECKPOINT)
    state = network.state_dict()
    for name, tensor in tensors.items():
        assert tensor.dtype == (torch.float16 if tensor.ndim > 1 else torch.float32)
        assert torch.equal(state[name], tensor.float())
    assert checkpoint.serialized(checkpoint.stored(network)) == CHECKPOINT.read_bytes()


def test_accuracy_is_within_the_committed_band(
    network: torch.nn.Module, record: checkpoint.Record, held_out: data.Split
) -> None:
    found = answers(network, held_out, record.spec(CHECKPOINT).input, IMAGES)
    accuracy = float((found == held_out.labels[:IMAGES]).mean())
    assert BAND[0] <= record.accuracy <= BAND[1]
    # Four standard errors of 500 images; wrong weights or preprocessing are tens of points away.
    spread = 4 * (record.accuracy * (1 - record.accuracy) / IMAGES) ** 0.5
    assert abs(accuracy - record.accuracy) <= spread


def test_attention_rows_are_neither_one_hot_nor_uniform(
    network: torch.nn.Module, record: checkpoint.Record, held_out: data.Split
) -> None:
    spec = record.spec(CHECKPOINT).input
    rows = attention_rows(network, torch.from_numpy(data.batch(held_out, range(64), spec)[0]))
    assert len(rows) == 4
    for one in rows:
        tokens = one.shape[-1]
        assert tokens >= 9
        assert torch.allclose(one.sum(-1), torch.ones(()))
        largest = one.amax(-1)
        entropy = -(one * one.clamp_min(1e-30).log()).sum(-1) / np.log(tokens)
        # The committed network: largest weight 0.61 to 0.65, entropy 0.52 to 0.53 (medians over 64 images,
        # 4 heads, 9 tokens), 8 to 14 % of rows all but one-hot, 0.1 % all but uniform.
        assert 1.2 / tokens < largest.median() < 0.95
        assert 0.1 < entropy.median() < 0.98
        assert (largest > 0.99).float().mean() < 0.25
        assert (entropy > 0.999).float().mean() < 0.25


def attention_rows(network: torch.nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """softmax(V^T V / sqrt(d)) of every attention, (B, heads, N, N), computed apart from its `forward`."""
    rows = []

    def attend(attention: MobileSelfAttention, v: torch.Tensor) -> None:
        batch, channels, height, width = v.shape
        t = v.reshape(batch, attention.heads, channels // attention.heads, height * width)
        scores = torch.einsum("bhdn,bhdm->bhnm", t, t) / attention.head_channels**0.5
        rows.append(scores.softmax(-1))

    hooks = [
        module.value.register_forward_hook(lambda _m, _i, v, attention=module: attend(attention, v))
        for module in network.modules()
        if isinstance(module, MobileSelfAttention)
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return rows


def test_the_attention_check_can_fail() -> None:
    """A projection ten times as large makes its rows one-hot, one of zeros makes them uniform."""
    network = load_network(checkpoint.read_record(CHECKPOINT).spec(CHECKPOINT)).module
    images = torch.from_numpy(data.batch(data.held_out(), range(8), InputSpec(size=96))[0])
    for scale, expected in ((10.0, 1.0), (0.0, 1 / 9)):
        changed = load_network(checkpoint.read_record(CHECKPOINT).spec(CHECKPOINT)).module
        for module in changed.modules():
            if isinstance(module, MobileSelfAttention):
                module.value.register_forward_hook(lambda _m, _i, v, scale=scale: v * scale)
        for one in attention_rows(changed, images):
            assert one.amax(-1).median() == pytest.approx(expected, abs=0.02)
    assert all(0.2 < one.amax(-1).median() < 0.95 for one in attention_rows(network, images))


@pytest.mark.slow
def test_its_accuracy_can_fall(record: checkpoint.Record, held_out: data.Split) -> None:
    """Kernels rounded to seven levels per tensor must show as a real drop (measured: 25.6 points).

    Fifteen levels lose 1.4 points, which 500 images cannot tell from none.
    """
    spec = record.spec(CHECKPOINT)
    network, coarse = load_network(spec).module, load_network(spec).module
    with torch.no_grad():
        for weight in coarse.parameters():
            if weight.ndim > 1:
                step = weight.abs().max() / 3
                weight.copy_((weight / step).round() * step)
    reference, found = (answers(one, held_out, spec.input, IMAGES) for one in (network, coarse))
    judged = evaluate(held_out.labels[:IMAGES], reference, found)
    assert judged.drop.low > 0.1
    assert judged.agreement < 0.9


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in (CHECKPOINT, CHECKPOINT.with_name(CHECKPOINT.name + ".json")):
        shutil.copy(path, tmp_path)
    return tmp_path / CHECKPOINT.name


def test_a_changed_checkpoint_is_refused(copy: Path) -> None:
    damaged = bytearray(copy.read_bytes())
    damaged[-1] ^= 1
    copy.write_bytes(damaged)
    with pytest.raises(UsageError, match="digest differs"):
        checkpoint.read_record(copy)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema_version": 99}', '{"schema_version": 1, "model": 3}']
)
def test_a_strange_record_is_refused(copy: Path, text: str) -> None:
    copy.with_name(copy.name + ".json").write_text(text)
    with pytest.raises(UsageError, match="record"):
        checkpoint.read_record(copy)


def test_a_missing_record_is_named(copy: Path) -> None:
    copy.with_name(copy.name + ".json").unlink()
    with pytest.raises(UsageError, match=r"safetensors\.json: no such file"):
        checkpoint.read_record(copy)


def test_what_is_written_is_read_back(copy: Path, record: checkpoint.Record) -> None:
    written = copy.with_name("again.safetensors")
    checkpoint.write(written, copy.read_bytes(), record)
    assert checkpoint.read_record(written) == record
    assert json.loads(written.with_name(written.name + ".json").read_text())["schema_version"] == 1


def test_a_weight_too_large_for_fp16_is_refused() -> None:
    network = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(network.weight, 1e5)
    with pytest.raises(UsageError, match="weight does not fit in fp16"):
        checkpoint.stored(network)
