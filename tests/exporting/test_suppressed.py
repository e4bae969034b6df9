"""`--boxes suppressed`: a second file that finds the objects that numpy decodes, and errors planted in it."""

import dataclasses
import importlib
import json
import shutil
import zipfile

import numpy as np
import pytest

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.boxes.decode import Limits, decoded, objects_of
from mocovit_deploy.errors import ParityError, UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.exporting.suppressed import (
    FOLDER,
    limits_of,
    made_up,
    require_suppressible,
    without_old,
    write_suppressed,
)
from mocovit_deploy.formats import format_named
from mocovit_deploy.models.load import load_network
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.ship.metadata import FileMetadata
from mocovit_deploy.spec import CalibrationRequest, ExportRequest, ModelSpec, OwnInput, Preprocessing
from mocovit_deploy.terminal.progress import Stages

FORMATS = ("onnx", "coreml", "tflite")
LABELS = ("zero", "one", "two")


def request_of(folder, formats, recipes=("fp32",), **options):
    spec = ModelSpec(
        "tiny_tasks:detector", (("boxes", "suppressed"),), input=OwnInput(size=64, width=96), normalize=True
    )
    return ExportRequest(spec, formats, recipes, output_dir=folder, labels=LABELS, **options)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    request = request_of(tmp_path_factory.mktemp("suppressed"), FORMATS)
    return {one.format: one for one in export_model(request, Stages()).outcomes}


@pytest.mark.parametrize("name", FORMATS)
def test_a_second_file_finds_what_numpy_decodes(exported, name):
    outcome = exported[name]
    assert outcome.error is None
    assert outcome.report.verdict == PASS
    path = outcome.suppressed.path
    assert path.parent == outcome.artifact.path.parent / FOLDER
    assert path.exists()
    assert [one.name for one in path.parent.iterdir()].count(path.name) == 1
    assert outcome.suppressed.images == 9
    assert outcome.suppressed.objects > 100
    assert outcome.suppressed.max_box_error_px < 0.01
    assert outcome.suppressed.max_score_error < 1e-6
    assert f"suppressed/{path.name}: suppresses boxes itself" in outcome.suppressed.text


@pytest.mark.parametrize("name", FORMATS)
def test_from_no_objects_to_hundreds(exported, name):
    """The same as the export's own check, object by object and in order."""
    artifact = read_manifest(exported[name].artifact.path)
    exporter, limits = format_named(name), limits_of(artifact.task)
    head = artifact.path.with_name(f"head{exporter.SUFFIX}")
    exporter.write_suppression(artifact, head, limits)
    find = exporter.load_suppressed(head, artifact.outputs)
    counts = []
    for outputs in made_up(artifact):
        wanted = objects_of(
            decoded(artifact.task, outputs), limits, best_class_alone=exporter.BEST_CLASS_ALONE
        )
        found = find(outputs)
        assert [one.label for one in found] == [one.label for one in wanted]
        np.testing.assert_allclose([one.score for one in found], [one.score for one in wanted], atol=1e-6)
        boxes = [np.reshape([one.box for one in side], (-1, 4)) for side in (found, wanted)]
        np.testing.assert_allclose(*boxes, atol=1e-5)
        counts.append(len(found))
    assert counts[0] == 0
    assert counts[-1] == limits.most
    assert 5 < counts[1] < 15


@pytest.mark.parametrize("name", FORMATS)
def test_the_first_file_is_the_raw_one(exported, name):
    artifact = read_manifest(exported[name].artifact.path)
    assert [one.name for one in artifact.outputs] == ["scores", "boxes"]
    assert artifact.task["boxes"] == "raw"
    assert artifact.task["suppressed"] == {"least_score": 0.3, "most_overlap": 0.5, "most": 100}


def test_int8_files_have_one_too(tmp_path):
    request = request_of(
        tmp_path, ("onnx", "tflite"), ("static_wi8_ai8",), calibration=CalibrationRequest("random")
    )
    for outcome in export_model(request, Stages()).outcomes:
        assert outcome.error is None
        assert outcome.suppressed.objects > 50


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("defect", ["anchors", "overlap", "score"])
def test_a_wrong_operator_is_found_and_nothing_kept(exported, name, defect, tmp_path, monkeypatch):
    first = read_manifest(exported[name].artifact.path)
    golden = read_golden(first)
    module, exporter = (importlib.import_module(f"exporters.{name}{one}") for one in (".suppress", ""))
    if defect == "anchors":
        true = module.anchors_of
        monkeypatch.setattr(module, "anchors_of", lambda task: true(task) + 0.05)
    else:
        wrong = {"overlap": Limits(most_overlap=0.6), "score": Limits(least_score=0.33)}[defect]
        for way in ("write_suppressed", "write_suppression"):
            real = getattr(module, way)
            monkeypatch.setattr(exporter, way, lambda *given, real=real: real(*given[:-1], wrong))
    folder = tmp_path / "build"
    copy = shutil.copytree if first.path.is_dir() else shutil.copy
    folder.mkdir()
    moved = dataclasses.replace(first, path=copy(first.path, folder / first.path.name))
    metadata = FileMetadata(
        model="net", recipe="fp32", weights="none", preprocessing=Preprocessing(), task=first.task
    )
    with pytest.raises(ParityError, match="are not the same within 1.0 px; use --boxes raw"):
        write_suppressed(moved, golden, metadata, Limits(), tmp_path)
    assert not (folder / FOLDER).exists()


@pytest.mark.parametrize("name", FORMATS)
def test_an_older_second_file_goes_with_its_first(exported, name, tmp_path):
    first = read_manifest(exported[name].artifact.path)
    moved = dataclasses.replace(first, path=tmp_path / first.path.name)
    without_old(moved)
    old = tmp_path / FOLDER / first.path.name
    old.parent.mkdir()
    (old.mkdir if first.path.is_dir() else old.touch)()
    without_old(dataclasses.replace(moved, task={"kind": "segmentation"}))
    assert old.exists()
    without_old(moved)
    assert not old.exists()


def test_its_error_is_that_of_the_export(tmp_path, monkeypatch):
    exporter = importlib.import_module("exporters.tflite")
    real = exporter.write_suppression
    wrong = Limits(most_overlap=0.6)
    monkeypatch.setattr(exporter, "write_suppression", lambda *given: real(*given[:-1], wrong))
    older = tmp_path / FOLDER / "detector_64x96_fp32.tflite"
    older.parent.mkdir()
    older.write_text("an older one")
    (outcome,) = export_model(request_of(tmp_path, ("tflite",)), Stages()).outcomes
    assert isinstance(outcome.error, ParityError)
    assert outcome.suppressed is None
    assert outcome.artifact.path.exists()
    assert not older.exists()


def test_an_onnx_file_has_onnxs_own_operator(exported):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(exported["onnx"].suppressed.path))
    assert [node.op_type for node in model.graph.node].count("NonMaxSuppression") == 1
    assert [one.name for one in model.graph.output] == [
        "detection_boxes",
        "detection_classes",
        "detection_scores",
    ]
    properties = {one.key: one.value for one in model.metadata_props}
    assert json.loads(properties["task"])["boxes"] == "suppressed"


def test_a_tflite_file_has_the_custom_operator(exported):
    path = exported["tflite"].suppressed.path
    artifact = read_manifest(exported["tflite"].artifact.path)
    operators = format_named("tflite").operators(dataclasses.replace(artifact, path=path))
    kinds = [one.kind for one in operators]
    assert kinds[-1] == "CUSTOM TFLite_Detection_PostProcess"
    with zipfile.ZipFile(path) as members:
        assert json.loads(members.read("metadata.json"))["task"]["boxes"] == "suppressed"
        assert members.read("labels.txt").decode().split() == list(LABELS)
    assert b"DETECTOR_METADATA" not in path.read_bytes()


def test_a_core_ml_file_is_a_pipeline_that_vision_takes(exported):
    ct = pytest.importorskip("coremltools")
    path = exported["coreml"].suppressed.path
    spec = ct.proto.Model_pb2.Model.FromString(
        (path / "Data" / "com.apple.CoreML" / "model.mlmodel").read_bytes()
    )
    kinds = [one.WhichOneof("Type") for one in spec.pipeline.models]
    assert kinds == ["mlProgram", "mlProgram", "nonMaximumSuppression"]
    assert [one.name for one in spec.description.input] == ["image"]
    assert spec.description.input[0].type.WhichOneof("Type") == "imageType"
    assert [one.name for one in spec.description.output] == ["confidence", "coordinates"]
    known = {one.name for one in spec.description.input}
    for model in spec.pipeline.models:
        assert {one.name for one in model.description.input} <= known
        known |= {one.name for one in model.description.output}
    assert {one.name for one in spec.description.output} <= known
    last = spec.pipeline.models[-1].nonMaximumSuppression
    assert (last.confidenceThreshold, last.iouThreshold, last.pickTop.perClass) == (0.3, 0.5, True)
    assert list(last.stringClassLabels.vector) == list(LABELS)
    sizes = [
        [(one.lowerBound, one.upperBound) for one in output.type.multiArrayType.shapeRange.sizeRanges]
        for output in spec.pipeline.models[-1].description.output
    ]
    assert sizes == [[(0, -1), (3, 3)], [(0, -1), (4, 4)]]
    assert spec.specificationVersion >= max(one.specificationVersion for one in spec.pipeline.models)
    assert spec.description.metadata.userDefined["mocovit_deploy.model"] == "detector"
    weights = {one.name for one in (path / "Data" / "com.apple.CoreML" / "weights").iterdir()}
    assert weights == {"0-weight.bin", "1-weight.bin"}


def test_it_is_run_on_golden_samples_of_the_first_file(exported):
    artifact = read_manifest(exported["onnx"].artifact.path)
    golden, exporter = read_golden(artifact), format_named("onnx")
    find = exporter.load_suppressed(exported["onnx"].suppressed.path, artifact.inputs)
    inputs = {name: array[0] for name, array in golden.inputs.items()}
    wanted = objects_of(decoded(artifact.task, exporter.load(artifact)(inputs)), Limits())
    assert [one.label for one in find(inputs)] == [one.label for one in wanted]
    assert len(wanted) > 5


def test_what_cannot_be_suppressed_is_refused(monkeypatch):
    request = ExportRequest(ModelSpec(), ("onnx",))
    task = {"kind": "detection", "suppressed": {}}
    require_suppressible(dataclasses.replace(request, dynamic_batch=True), "net", task, 4)
    task["suppressed"] = {"most": 9}
    assert limits_of(task) == Limits(most=9)
    require_suppressible(request, "net", task, 1)
    for free, batch in ((False, 2), (True, 1)):
        asked = dataclasses.replace(request, dynamic_batch=free)
        with pytest.raises(UsageError, match="--boxes suppressed: files take one image, but net takes"):
            require_suppressible(asked, "net", task, batch)
    monkeypatch.delattr("exporters.onnx.write_suppressed")
    with pytest.raises(UsageError, match="onnx files cannot suppress boxes; give --boxes raw"):
        require_suppressible(request, "net", task, 1)


def test_masks_are_not_suppressed():
    with pytest.raises(UsageError, match="gives no masks.* or the detector mocovit_0_5_retinanet"):
        load_network(ModelSpec("mocovit_0_5_yolact", boxes="suppressed"))
