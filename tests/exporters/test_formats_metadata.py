"""What files say of themselves, read back by readers that are not this project's."""

import dataclasses
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from exporters.coreml.classifier import labelled_output, unlabelled_note
from exporters.coreml.read import read_program
from exporters.tflite.metadata import normalization, without_archive
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.errors import ConversionError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.files import digest
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.sandboxed import child_check
from mocovit_deploy.ship.metadata import FileMetadata
from mocovit_deploy.spec import (
    CalibrationRequest,
    ExportRequest,
    InputSpec,
    ModelSpec,
    Preprocessing,
    TensorSpec,
)
from mocovit_deploy.terminal.progress import Stages

LABELS = tuple(f"class {i}" for i in range(10))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Path by format, of a labelled export."""
    model = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32))
    request = ExportRequest(
        model,
        FORMATS,
        output_dir=tmp_path_factory.mktemp("labelled"),
        labels=LABELS,
        author="An Author",
        licence="Apache-2.0",
        model_version="1.2",
        description="Ten classes",
    )
    paths = {}
    for outcome in export_model(request, Stages()).outcomes:
        assert outcome.error is None, outcome.error
        paths[outcome.format] = outcome.artifact.path
    return paths


def plain(strings):
    lists = {key: json.loads(strings[key]) for key in ("labels", "preprocessing", "parity")}
    return {**strings, **lists}


def said_by(name, path):
    """The whole description, found by the format's own library."""
    if name == "onnx":
        import onnx

        return plain({entry.key: entry.value for entry in onnx.load(path).metadata_props})
    if name == "coreml":
        import coremltools as ct

        said = ct.models.MLModel(str(path), skip_model_load=True).user_defined_metadata
        return plain({key.removeprefix("mocovit_deploy."): text for key, text in said.items()})
    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(LABELS)
        return json.loads(archive.read("metadata.json"))


@pytest.mark.parametrize("name", FORMATS)
def test_everything_is_said_and_the_manifest_knows_the_file(exported, name):
    document = said_by(name, exported[name])
    assert document["labels"] == list(LABELS)
    given = (document["author"], document["licence"], document["version"])
    assert given == (
        "An Author",
        "Apache-2.0",
        "1.2",
    )
    assert document["parity"]["verdict"] == "pass"
    assert document["parity"]["max_error_of_range"] < document["parity"]["tolerance"]
    assert document["weights"] == "as tiny_networks:tiny gives them"
    artifact = read_manifest(exported[name])
    assert artifact.sha256 == digest(exported[name])
    assert artifact.source["options"]["labels"] == list(LABELS)
    assert child_check(str(exported[name]))["report"]["verdict"] == "pass"


def test_core_ml_has_fields_of_its_own(exported):
    import coremltools as ct

    model = ct.models.MLModel(str(exported["coreml"]), skip_model_load=True)
    assert (model.author, model.license, model.version) == ("An Author", "Apache-2.0", "1.2")
    assert model.short_description == "Ten classes"


CORE_ML = (
    "fp32",
    "fp16",
    "static_wi8_ai8",
    "static_wi8_ai8_fp16",
    "weight_only_wi8_afp32",
    "weight_only_wp6_afp16",
)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Labelled Core ML files, by precision."""
    model = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32))
    request = ExportRequest(
        model,
        ("coreml",),
        CORE_ML,
        output_dir=tmp_path_factory.mktemp("packages"),
        labels=LABELS,
        calibration=CalibrationRequest("random", 4),
    )
    outcomes = export_model(request, Stages()).outcomes
    assert not [outcome.error for outcome in outcomes if outcome.error]
    return {outcome.recipe: outcome.artifact.path for outcome in outcomes}


@pytest.mark.parametrize("recipe", CORE_ML)
def test_core_ml_takes_it_for_a_classifier_by_apples_own_protobuf_classes(packages, recipe):
    from coremltools.proto import MIL_pb2, Model_pb2

    path = packages[recipe] / "Data" / "com.apple.CoreML" / "model.mlmodel"
    model = Model_pb2.Model.FromString(path.read_bytes())
    description = model.description
    kinds = {one.name: one.type.WhichOneof("Type") for one in description.output}
    assert kinds == {
        "logits": "multiArrayType",
        "classLabel": "stringType",
        "classLabel_probs": "dictionaryType",
    }
    named = (description.predictedFeatureName, description.predictedProbabilitiesName)
    assert named == ("classLabel", "classLabel_probs")
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    assert list(block.outputs) == list(kinds)
    made_by = {output.name: step for step in block.operations for output in step.outputs}
    classify = made_by["classLabel"]
    assert classify is made_by["classLabel_probs"]
    assert classify.type == "classify"
    (classes,) = classify.inputs["classes"].arguments
    members = classes.value.immediateValue.list.values
    texts = [text for one in members for text in one.immediateValue.tensor.strings.values]
    assert tuple(texts) == LABELS
    (probabilities,) = classify.inputs["probabilities"].arguments
    softmax = made_by[probabilities.name]
    assert (softmax.type, softmax.inputs["x"].arguments[0].name) == ("softmax", "logits")
    axis = made_by[softmax.inputs["axis"].arguments[0].name].attributes["val"]
    assert list(axis.immediateValue.tensor.ints.values) == [-1]
    (scores,) = [output for step in block.operations for output in step.outputs if output.name == "logits"]
    assert scores.type.tensorType.dataType == MIL_pb2.FLOAT32


def test_labels_are_read_beside_constants_of_any_name(packages, tmp_path):
    """coremltools' reader counts constants without a name, and the file may hold the next one's."""
    import shutil

    from coremltools.converters.mil import Builder
    from coremltools.proto import Model_pb2

    copy = tmp_path / "labelled.mlpackage"
    shutil.copytree(packages["fp32"], copy)
    file = copy / "Data" / "com.apple.CoreML" / "model.mlmodel"
    model = Model_pb2.Model.FromString(file.read_bytes())
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    first = Builder.name_count["const"]
    taken = (f"const_{first + one}" for one in range(1000))
    renamed = {step.outputs[0].name: next(taken) for step in block.operations if step.type == "const"}
    for step in block.operations:
        for output in step.outputs:
            output.name = renamed.get(output.name, output.name)
        for argument in [one for given in step.inputs.values() for one in given.arguments]:
            argument.name = renamed.get(argument.name, argument.name) if argument.name else ""
    file.write_bytes(model.SerializeToString())
    program = read_program(copy)
    assert program.outputs == ("logits",)
    assert set(renamed.values()) == set(program.constants)


def test_core_ml_labels_one_image_in_floats_alone():
    spec = TensorSpec("logits", (1, 10), "float32")
    assert labelled_output(LABELS, [spec]) == spec
    for other in ((2, 10), (1, 9), (1, 10, 1)):
        assert labelled_output(LABELS, [dataclasses.replace(spec, shape=other)]) is None
    assert labelled_output(LABELS, [dataclasses.replace(spec, dtype="int32")]) is None
    assert labelled_output(LABELS, [dataclasses.replace(spec, name="classLabel")]) is None
    assert labelled_output(LABELS, [spec, spec]) is None
    assert labelled_output((), [spec]) is None
    assert labelled_output((*LABELS[:9], LABELS[0]), [spec]) is None


def test_a_file_that_is_no_classifier_to_vision_says_why():
    spec = TensorSpec("logits", (1, 10), "float32")
    assert unlabelled_note(LABELS, [spec]) == unlabelled_note((), [spec]) == ()
    (twice,) = unlabelled_note((*LABELS[:9], "class 3"), [spec])
    assert twice.startswith(
        "Vision will not take the file as a classifier: 'class 3' is the label of several classes"
    )
    (batch,) = unlabelled_note(LABELS, [dataclasses.replace(spec, shape=(2, 10))])
    assert "it needs float32 scores of one image" in batch
    assert unlabelled_note(LABELS, [dataclasses.replace(spec, shape=(1, 10, 8, 8))]) == (), "a segmenter"


@pytest.mark.parametrize("name", FORMATS)
def test_describing_again_changes_nothing_else_and_repeats_to_the_byte(exported, name, tmp_path):
    import shutil

    artifact = read_manifest(exported[name])
    copy = tmp_path / artifact.path.name
    (shutil.copytree if artifact.path.is_dir() else shutil.copy)(artifact.path, copy)
    metadata = FileMetadata(model="m", recipe="fp32", weights="w", preprocessing=Preprocessing())
    exporter = format_named(name)
    exporter.describe(copy, metadata, artifact.inputs, artifact.outputs)
    once = digest(copy)
    assert once != artifact.sha256
    exporter.describe(copy, metadata, artifact.inputs, artifact.outputs)
    assert digest(copy) == once
    changed = dataclasses.replace(artifact, path=copy)
    x = {spec.name: np.full(spec.shape, 0.5, np.float32) for spec in artifact.inputs}
    for before, after in zip(
        exporter.load(artifact)(x).values(), exporter.load(changed)(x).values(), strict=True
    ):
        np.testing.assert_array_equal(before, after)


def test_a_tflite_file_that_would_change_is_refused(exported, monkeypatch, tmp_path):
    from exporters.tflite import metadata as tflite

    artifact = read_manifest(exported["tflite"])
    copy = tmp_path / "a.tflite"
    copy.write_bytes(artifact.path.read_bytes())

    def damaging(model):
        largest = max(model.buffers, key=lambda one: 0 if one.data is None else len(one.data))
        largest.data = np.asarray(largest.data) + 1
        return write(model)

    write = tflite.model_bytes
    monkeypatch.setattr(tflite, "model_bytes", damaging)
    metadata = FileMetadata(model="m", recipe="fp32", weights="w", preprocessing=Preprocessing())
    with pytest.raises(ConversionError, match=r"buffer \d+ would change"):
        tflite.describe(copy, metadata, artifact.inputs, artifact.outputs)
    assert copy.read_bytes() == artifact.path.read_bytes()


def test_the_tflite_metadata_by_the_generated_reader(exported):
    """Slots and identifiers, by the flatbuffers library alone, where metadata_schema.fbs puts them."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    data = exported["tflite"].read_bytes()
    model = schema.Model.GetRootAs(without_archive(data), 0)
    entries = {
        model.Metadata(i).Name().decode(): model.Metadata(i).Buffer() for i in range(model.MetadataLength())
    }
    entry = model.Buffers(entries["TFLITE_METADATA"]).DataAsNumpy().tobytes()
    assert entry[4:8] == b"M001"
    root = flatbuffers.table.Table(bytearray(entry), int.from_bytes(entry[:4], "little"))

    def text(table, slot):
        return table.String(table.Offset(4 + 2 * slot) + table.Pos).decode()

    def inside(table, slot, index=0):
        vector = table.Vector(table.Offset(4 + 2 * slot))
        return flatbuffers.table.Table(table.Bytes, table.Indirect(vector + 4 * index))

    assert (text(root, 0), text(root, 4), text(root, 5)) == ("tiny", "An Author", "Apache-2.0")
    subgraph = inside(root, 3)
    assert text(inside(subgraph, 2), 0) == "image"
    output = inside(subgraph, 3)
    assert text(output, 0) == "logits"
    assert text(inside(output, 6), 0) == "labels.txt"


def test_the_archive_is_behind_the_model_and_can_be_taken_off(exported):
    data = exported["tflite"].read_bytes()
    assert zipfile.is_zipfile(io.BytesIO(data))
    assert without_archive(data) == data[: len(without_archive(data))]
    assert not zipfile.is_zipfile(io.BytesIO(without_archive(data)))
    assert without_archive(b"TFL3") == b"TFL3"


def test_normalization_is_one_value_only_if_all_channels_share_it():
    mean, std = normalization(Preprocessing())
    np.testing.assert_allclose(mean, [123.675, 116.28, 103.53])
    np.testing.assert_allclose(std, [58.395, 57.12, 57.375])


def test_labels_that_do_not_fit_end_before_anything_is_written(tmp_path):
    from mocovit_deploy.cli import main as cli

    (tmp_path / "labels.txt").write_text("a\nb\n")
    words = ["--model", "tiny_networks:tiny", "--image-size", "32", "--output-dir", str(tmp_path / "out")]
    status = cli.run_command(
        "mocovit-export", cli._export, [*words, "--labels", str(tmp_path / "labels.txt")]
    )
    assert status == 2
    assert not list(Path(tmp_path / "out").glob("tiny*"))
