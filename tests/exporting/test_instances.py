"""An instance segmenter in every format, in both forms, and its masks from the files."""

import numpy as np
import pytest
import torch

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.boxes.masks import instances
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.models.load import load_network
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.spec import CalibrationRequest, ExportRequest, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages

FORMATS = ("onnx", "coreml", "tflite")
SIZE = OwnInput(size=64, width=96)


def exported(folder, boxes, precisions):
    spec = ModelSpec("tiny_tasks:instances", (("boxes", boxes),), input=SIZE)
    return spec, export_model(ExportRequest(spec, FORMATS, precisions, output_dir=folder), Stages()).outcomes


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("raw"), "raw", ("fp32", "fp16"))


@pytest.fixture(scope="module")
def decoded(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("decoded"), "decoded", ("fp32",))


def of(outcomes, name, recipe):
    (outcome,) = [one for one in outcomes if (one.format, one.recipe) == (name, recipe)]
    assert outcome.report.verdict == PASS, outcome.report.reason
    return read_manifest(outcome.artifact.path)


def objects(artifact, image):
    (spec,) = artifact.inputs
    taken = image.permute(0, 2, 3, 1) if spec.layout == "nhwc" else image
    outputs = format_named(artifact.format).load(artifact)({spec.name: taken.contiguous().numpy()})
    return instances(artifact.task, outputs, least_score=0.5)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("recipe", ["fp32", "fp16"])
def test_every_file_passes_in_one_partition(raw, name, recipe):
    artifact = of(raw[1], name, recipe)
    assert [one.name for one in artifact.outputs] == ["scores", "boxes", "coefficients", "prototypes"]
    assert artifact.outputs[-1].shape == (1, 16, 24, 4)
    if name == "tflite":
        assert artifact.execution["partitions"] == 1
        assert not artifact.execution["outside"]


@pytest.mark.parametrize("name", FORMATS)
def test_masks_from_files_are_those_of_the_network(raw, decoded, name):
    spec, outcomes = raw
    network = load_network(spec)
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        outputs = {role: value.numpy() for role, value in network.module(image).items()}
    wanted = instances(network.task, outputs, least_score=0.5)
    assert len(wanted) > 5
    assert 0 < np.mean([one.mask.mean() for one in wanted]) < 1
    for file in (of(outcomes, name, "fp32"), of(decoded[1], name, "fp32")):
        found = objects(file, image)
        assert [one.detection.label for one in found] == [one.detection.label for one in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert (one.mask != other.mask).mean() < 0.001  # a pixel at the edge of its box, or at 0.5


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_int8_files_pass_with_a_grid_for_each_output(name, tmp_path):
    spec, calibration = ModelSpec("tiny_tasks:instances", input=SIZE), CalibrationRequest("random")
    request = ExportRequest(spec, (name,), ("static_wi8_ai8",), output_dir=tmp_path, calibration=calibration)
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.report.verdict == PASS, outcome.report.reason
