"""Resizing stays resizing in every format: no gathers, no products with matrices."""

from pathlib import Path

import pytest
import torch.nn.functional as F
from torch import nn

import mocovit_deploy
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.operator import by_kind
from mocovit_deploy.formats import FORMATS, format_named

KEPT = {
    "onnx": {"Resize": 3},
    "coreml": {"upsample_bilinear": 2, "upsample_nearest_neighbor": 1},
    "tflite": {"RESIZE_BILINEAR": 2, "MUL": 1},  # XNNPACK resizes to the nearest by repeating alone
}
MOVED = ("Gather", "GatherND", "GATHER", "GATHER_ND", "gather", "gather_along_axis", "BATCH_MATMUL", "MatMul")


class Upsampling(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        x = F.interpolate(self.first(x).relu(), scale_factor=2, mode="bilinear")
        x = F.interpolate(self.second(x), scale_factor=2, mode="nearest")
        return F.interpolate(x, size=(40, 48), mode="bilinear", align_corners=True)


@pytest.mark.slow
def test_upsampling_keeps_its_operators(tmp_path: Path):
    import torch

    done = mocovit_deploy.export(Upsampling(), torch.rand(1, 3, 12, 12), formats=FORMATS, output_dir=tmp_path)
    for file in done.files:
        assert file.error is None
        artifact = read_manifest(file.path)
        kinds = by_kind(format_named(artifact.format).operators(artifact))
        assert {kind: kinds.get(kind) for kind in KEPT[artifact.format]} == KEPT[artifact.format]
        assert not set(kinds) & set(MOVED)
