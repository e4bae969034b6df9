"""Checkpoints of strangers: one line, bounded, and nothing of theirs printed raw."""

from __future__ import annotations

import pytest
import torch
from hostile import crafted_weights
from torch import nn

from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.checkpoint import load_checkpoint
from mocovit_deploy.untrusted.sandbox import SandboxLimits, call_in_child

ENDLESS = ("a key that is hashed for ever", "10^11 bytes of bytearray")
"""Only a child can read these: see the tests of the guard below."""

PICKLES = dict(crafted_weights.for_pickles())
SAFETENSORS = dict(crafted_weights.for_safetensors())
READABLE = {what: files for what, files in (PICKLES | SAFETENSORS).items() if not what.startswith(ENDLESS)}


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.mark.parametrize("what", READABLE)
def test_crafted_checkpoints(what, tmp_path, monkeypatch):
    (tmp_path / "case").mkdir()
    monkeypatch.chdir(tmp_path / "case")
    ((name, data),) = READABLE[what].items()
    path = tmp_path / "case" / name
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        load_checkpoint(network(), path)
    assert all(line.isprintable() for line in str(caught.value).splitlines())
    assert [found.name for found in tmp_path.iterdir()] == ["case"]


@pytest.mark.parametrize(
    ("what", "said", "seconds"),
    [
        ("a key that is hashed for ever, archive", "did not end within", 6),
        ("10^11 bytes of bytearray, archive", "damaged|memory", 60),
    ],
)
def test_a_child_reads_what_never_ends(what, said, seconds, tmp_path):
    path = tmp_path / "seed.pt"
    path.write_bytes(PICKLES[what]["seed.pt"])
    arguments = {"model": "mocovit_1_0", "checkpoint": str(path), "prefer_ema": False}
    limits = SandboxLimits(seconds=seconds, memory_bytes=2 << 30)
    with pytest.raises(UsageError, match=said):
        call_in_child(
            "mocovit_deploy.models.probe:probe_in_child",
            arguments,
            limits,
            subject=path,
            failure=UsageError,
            verbose=False,
        )


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(4, 3, 3, 3).to_sparse(),
        torch.zeros(4, 3, 3, 3, dtype=torch.complex64),
        torch.zeros(4, 3, 3, 3, device="meta"),
        torch.quantize_per_tensor(torch.zeros(4, 3, 3, 3), 0.1, 0, torch.qint8),
    ],
    ids=["sparse", "complex", "without data", "quantized"],
)
def test_tensors_that_are_not_plain_are_refused(tensor, tmp_path):
    state = {**network().state_dict(), "0.weight": tensor}
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(UsageError, match="1 not plain|damaged or not a checkpoint"):
        load_checkpoint(network(), tmp_path / "a.pt")


def test_names_in_a_checkpoint_are_not_printed_raw(tmp_path):
    torch.save({"state_dict": {"\x1b[2J\nmocovit-export: done": torch.zeros(1)}}, tmp_path / "a.pt")
    with pytest.raises(UsageError, match="6 missing, 1 unexpected") as caught:
        load_checkpoint(network(), tmp_path / "a.pt")
    assert r"unexpected \x1b[2J\nmocovit-export: done 1" in caught.value.details
