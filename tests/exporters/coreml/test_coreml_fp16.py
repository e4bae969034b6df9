from __future__ import annotations

import numpy as np
import torch
from torch import nn

from exporters import coreml
from exporters.coreml import write
from exporters.coreml.write import write_package
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.spec import Preprocessing, TensorSpec

IMAGE = TensorSpec("image", (1, 3, 8, 8), "float32", "nchw")
EXAMPLE = torch.linspace(-2, 2, 192).reshape(1, 3, 8, 8)


class Ratio(nn.Module):
    """Linear attention in small: a product far beyond fp16's end, divided by another."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.gain = nn.Conv2d(3, 8, 1), gain

    def forward(self, x):
        tokens = self.conv(x).flatten(2).relu() * self.gain
        products = tokens @ tokens.transpose(1, 2) @ tokens
        return products / (products.sum(1, keepdim=True) + 1.0)


def execute(tmp_path, gain):
    """The operations of an fp16 file by the type they are computed in, its error, and its notes."""
    network = Ratio(gain).eval().requires_grad_(False)
    graph = torch.export.export(network, (EXAMPLE,)).module(check_guards=False)
    expected = network(EXAMPLE).numpy()
    features = TensorSpec("features", expected.shape, "float32")
    path = tmp_path / "n.mlpackage"
    notes = write_package(graph, (EXAMPLE,), path, recipe="fp16", inputs=(IMAGE,), outputs=(features,)).notes
    artifact = Artifact(path, "coreml", "fp16", "m", "w", (IMAGE,), (features,), Preprocessing(), "", "")
    predictor = coreml.load(artifact)
    kinds = [(step.kind, step.outputs[0].dtype) for step in predictor.program.operations]
    error = np.abs(predictor({"image": EXAMPLE.numpy()})["features"] - expected).max()
    return kinds, error, notes


def test_what_does_not_fit_stays_in_float32_and_the_rest_does_not(tmp_path):
    kinds, error, notes = execute(tmp_path, gain=100.0)
    assert error < 5e-3
    assert ("conv", "fp16") in kinds
    assert ("matmul", "fp32") in kinds
    assert ("matmul", "fp16") not in kinds
    assert len(notes) == 1
    assert "values stay in fp32: they reach" in notes[0]


def test_where_everything_fits_everything_is_half(tmp_path):
    kinds, error, notes = execute(tmp_path, gain=1.0)
    assert error < 5e-3
    assert notes == ()
    assert ("matmul", "fp16") in kinds
    assert ("matmul", "fp32") not in kinds


def test_without_the_measurement_the_file_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_wide", lambda *_: {})
    _, error, _ = execute(tmp_path, gain=100.0)
    assert not error < 5e-3
