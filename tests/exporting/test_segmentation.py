"""A segmenter in every format: what its file says of its output, its labels, and what is refused."""

import json
import zipfile

import numpy as np
import pytest

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.judging import require_judged
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.ship.metadata import require_fitting_labels
from mocovit_deploy.spec import CalibrationRequest, ExportRequest, ModelSpec, OwnInput, TensorSpec
from mocovit_deploy.terminal.progress import Stages

FORMATS = ("onnx", "coreml", "tflite")
PRECISIONS = ("fp32", "fp16")
LABELS = ("road", "wall", "sky")
SIZE = OwnInput(size=32, width=64)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    request = ExportRequest(
        ModelSpec("tiny_tasks:segmenter", input=SIZE),
        FORMATS,
        PRECISIONS,
        output_dir=tmp_path_factory.mktemp("segmentation"),
        labels=LABELS,
    )
    return export_model(request, Stages()).outcomes


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("recipe", PRECISIONS)
def test_every_file_passes_and_says_what_it_gives(exported, name, recipe):
    (outcome,) = [one for one in exported if (one.format, one.recipe) == (name, recipe)]
    assert outcome.report.verdict == PASS, outcome.report.reason
    artifact = read_manifest(outcome.artifact.path)
    (output,) = artifact.outputs
    assert (output.name, output.shape, output.layout) == ("segmentation", (1, 4, 8, 3), "")
    assert artifact.task["kind"] == "segmentation"
    assert artifact.task["outputs"] == {"segmentation": "segmentation"}
    assert artifact.parity["task"]["same_class"] >= 0.99
    assert artifact.parity["task"]["mean_iou"] >= 0.98


def test_bicubic_upsampling_stays_in_one_partition(exported):
    artifact = next(one.artifact for one in exported if (one.format, one.recipe) == ("tflite", "fp32"))
    assert artifact.execution["partitions"] == 1
    assert not artifact.execution["outside"]


def test_the_tflite_file_repeats_it(exported):
    artifact = next(one.artifact for one in exported if (one.format, one.recipe) == ("tflite", "fp32"))
    with zipfile.ZipFile(artifact.path) as members:
        document = json.loads(members.read("metadata.json"))
        assert members.read("labels.txt").decode().split() == list(LABELS)
    assert document["task"]["stride"] == 8
    assert b"SEGMENTER_METADATA" in artifact.path.read_bytes()


def test_labels_must_be_as_many_as_classes():
    task = {"kind": "segmentation", "classes": 3}
    require_fitting_labels(LABELS, (), task)
    with pytest.raises(UsageError, match="labels: 2 names for the 3 classes of the network"):
        require_fitting_labels(LABELS[:2], (), task)


def test_a_search_that_cannot_judge_is_refused_before_a_file_is_written(tmp_path):
    np.savez(
        tmp_path / "images.npz", images=np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8)
    )
    calibration = CalibrationRequest(str(tmp_path / "images.npz"), 8, judging_images=4)
    spec = ModelSpec("mocovit_0_5", input=OwnInput(size=32), features=(8, 16))
    request = ExportRequest(spec, ("tflite",), ("auto",), output_dir=tmp_path, calibration=calibration)
    with pytest.raises(UsageError, match="--precision auto judges .* mocovit_0_5.* returns stride_8"):
        export_model(request, Stages())
    assert not list(tmp_path.rglob("*.tflite"))


def test_what_a_search_can_judge():
    outputs = (TensorSpec("segmentation", (1, 4, 8, 3), "float32"),)
    for calibration in (CalibrationRequest("random", judging_images=9), CalibrationRequest("a.npz"), None):
        request = ExportRequest(ModelSpec(), ("tflite",), ("auto",), calibration=calibration)
        require_judged(request, "net", outputs, None)
    judging = CalibrationRequest("a.npz", judging_images=9)
    plain = ExportRequest(ModelSpec(), ("tflite",), ("fp32",), calibration=judging)
    require_judged(plain, "net", outputs, None)
    request = ExportRequest(ModelSpec(), ("tflite",), ("auto",), calibration=judging)
    require_judged(request, "net", (TensorSpec("logits", (1, 3), "float32"),), None)
    require_judged(request, "net", outputs, {"kind": "segmentation"})
    several = (TensorSpec("segmentation", (2, 4, 8, 3), "float32"),)
    for shapes, task in ((several, {"kind": "segmentation"}), (outputs, {"kind": "depth"}), (outputs, None)):
        with pytest.raises(UsageError, match=r"net returns segmentation \[.*; name the precisions"):
            require_judged(request, "net", shapes, task)


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_int8_files_pass(name, tmp_path):
    calibration = CalibrationRequest("random")
    spec = ModelSpec("tiny_tasks:segmenter", input=SIZE)
    request = ExportRequest(spec, (name,), ("static_wi8_ai8",), output_dir=tmp_path, calibration=calibration)
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.report.verdict == PASS, outcome.report.reason
