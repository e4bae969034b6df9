"""A detector in every format, in both forms of boxes, and its objects from the files."""

import pytest
import torch

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.boxes.decode import detections
from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.models.load import load_network
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.ship.metadata import require_fitting_labels
from mocovit_deploy.spec import CalibrationRequest, ExportRequest, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages

FORMATS = ("onnx", "coreml", "tflite")
PRECISIONS = ("fp32", "fp16")
LABELS = ("zero", "one", "two")
SIZE = OwnInput(size=64, width=96)


def exported(folder, boxes, precisions):
    spec = ModelSpec("tiny_tasks:detector", (("boxes", boxes),), input=SIZE)
    request = ExportRequest(spec, FORMATS, precisions, output_dir=folder, labels=LABELS)
    return spec, export_model(request, Stages()).outcomes


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("raw"), "raw", PRECISIONS)


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
    return detections(artifact.task, outputs, least_score=0.5)


def same(found, wanted, pixels):
    assert [one.label for one in found] == [one.label for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.score == pytest.approx(other.score, abs=1e-3)
        assert [v * 96 for v in one.box] == pytest.approx([v * 96 for v in other.box], abs=pixels)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("recipe", PRECISIONS)
def test_every_file_passes(raw, name, recipe):
    artifact = of(raw[1], name, recipe)
    assert [one.name for one in artifact.outputs] == ["scores", "boxes"]
    assert artifact.task["outputs"] == {"scores": "scores", "boxes": "boxes"}
    assert artifact.task["image_size"] == [64, 96]
    told = artifact.parity["task"]
    assert told["objects"] == told["found_again"] > 100
    assert told["others"] == 0
    # Random weights make boxes of up to hundreds of images.
    assert 0 < told["mean_box_error_px"] < (0.001 if recipe == "fp32" else 1)


@pytest.mark.parametrize("name", FORMATS)
def test_objects_from_files_are_those_of_the_network(raw, decoded, name):
    spec, outcomes = raw
    network = load_network(spec)
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        outputs = {role: value.numpy() for role, value in network.module(image).items()}
    wanted = detections(network.task, outputs, least_score=0.5)
    assert len(wanted) > 5
    same(objects(of(outcomes, name, "fp32"), image), wanted, pixels=0.01)
    same(objects(of(decoded[1], name, "fp32"), image), wanted, pixels=0.01)


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_int8_files_pass_with_a_grid_for_each_output(name, tmp_path):
    spec = ModelSpec("tiny_tasks:detector", input=SIZE)
    calibration = CalibrationRequest("random")
    request = ExportRequest(spec, (name,), ("static_wi8_ai8",), output_dir=tmp_path, calibration=calibration)
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.report.verdict == PASS, outcome.report.reason
    assert [one.output for one in outcome.report.outputs] == ["scores", "boxes"]


def test_nothing_is_outside_the_one_partition(raw):
    execution = of(raw[1], "tflite", "fp32").execution
    assert execution["partitions"] == 1
    assert not execution["outside"]


def test_only_raw_files_tell_mediapipe_of_anchors(raw, decoded):
    told, silent = (of(one[1], "tflite", "fp32").path.read_bytes() for one in (raw, decoded))
    assert b"DETECTOR_METADATA" in told
    assert b"DETECTOR_METADATA" not in silent


def test_labels_must_be_as_many_as_classes():
    with pytest.raises(UsageError, match="labels: 3 names for the 80 classes of the network"):
        require_fitting_labels(LABELS, (), {"kind": "detection", "classes": 80})
