"""What every listed format shows of its inside, and that per-layer parity finds what is planted there."""

import copy
import dataclasses

import numpy as np
import pytest
from planting.defects import DEFECTS
from planting.suite import SURGEONS, open_case, plant, swap

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.marks import split_mark
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.errors import ParityError, UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.layers.check import check_layers
from mocovit_deploy.layers.taps import first_divergence
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages

NETWORK = "tiny_networks:two_heads"


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """The network with two heads, by format."""
    model = ModelSpec(NETWORK, input=InputSpec(size=32), seed=5)
    request = ExportRequest(model, FORMATS, output_dir=tmp_path_factory.mktemp("inside"))
    done = export_model(request, Stages())
    assert [outcome.error for outcome in done.outcomes] == [None] * len(FORMATS)
    return {outcome.format: outcome.artifact.path for outcome in done.outcomes}


@pytest.fixture(scope="module")
def cases(paths):
    """Opened one after the other, with one look at the original for all of them."""
    opened, reference = {}, None
    for name in FORMATS:
        opened[name] = open_case(paths[name], reference)
        reference = opened[name].reference
    return opened


@pytest.mark.parametrize("name", FORMATS)
def test_values_bear_the_marks_of_their_modules(paths, name):
    values = format_named(name).values(read_manifest(paths[name]))
    modules = {split_mark(mark)[0] for value in values for mark in value.marks}
    assert {"body.stem.0", "body.ghost.up.primary.0", "body.ghost.se.reduce"} <= modules
    assert {"body.transformer.attention", "body.transformer.down.cheap.0"} <= modules
    names = [value.name for value in values]
    assert len(set(names)) == len(names)
    assert {"main", "aux"} <= set(names)


@pytest.mark.parametrize("name", FORMATS)
def test_values_can_be_seen_and_replaced(paths, name):
    artifact = read_manifest(paths[name])
    sample = {key: array[0] for key, array in read_golden(artifact).inputs.items()}
    exporter = format_named(name)
    where = "body.ghost.up.primary.0"
    value = next(v for v in exporter.values(artifact) if where in [split_mark(mark)[0] for mark in v.marks])
    plain = exporter.load_inside(artifact, [value.name], [])
    seen = plain(sample)
    assert seen[value.name].shape == value.shape
    assert np.array_equal(seen["main"], exporter.load(artifact)(sample)["main"])
    forced = exporter.load_inside(artifact, [value.name], [value.name])
    same = forced({**sample, value.name: seen[value.name]})
    assert np.allclose(same["main"], seen["main"], rtol=1e-5, atol=1e-6)
    other = forced({**sample, value.name: seen[value.name] * 2})
    assert not np.allclose(other["main"], seen["main"], rtol=1e-2)
    assert np.allclose(other[value.name], seen[value.name], rtol=1e-5, atol=1e-6), "what was computed"


@pytest.mark.parametrize("name", FORMATS)
def test_a_good_file_passes_layer_by_layer(paths, name):
    artifact = read_manifest(paths[name])
    report = check_layers(artifact, read_golden(artifact), bisect=False)
    assert report.verdict == "pass", report.reason
    modules = {reading.tap.layer.module for reading in report.readings}
    assert {"body.stem.0" if name != "tflite" else "body.stem.2", "body.classifier", "aux"} <= modules
    assert all(one.why for one in report.missing)
    folded = [one for one in report.missing if one.module == "body.stem.0"]
    assert folded[0].why == "a pass changed what it computes: body.stem.1"


def layer_scaled(name, folder, **options):
    """The report on every layer, alone, of a network with small layer scales and poolings."""
    model = ModelSpec("tiny_networks:layer_scaled", input=InputSpec(size=16))
    request = ExportRequest(model, (name,), output_dir=folder, **options)
    (outcome,) = export_model(request, Stages()).outcomes
    assert outcome.error is None
    return check_layers(outcome.artifact, read_golden(outcome.artifact), bisect=True)


@pytest.mark.parametrize(
    "name", ["onnx", *(pytest.param(name, marks=pytest.mark.slow) for name in FORMATS if name != "onnx")]
)
def test_a_layer_scale_merged_into_a_convolution_accuses_nobody(name, tmp_path):
    report = layer_scaled(name, tmp_path)
    assert report.verdict == "pass", report.reason
    if name == "onnx":
        assert any(one.tap.layer.kind == "mul" for one in report.readings), "onnxsim merges it"


@pytest.mark.slow
def test_poolings_of_litert_torch_are_followed(tmp_path):
    """Its maxima are STABLEHLO_REDUCE_WINDOW with subgraphs, its means sums whose readers divide."""
    report = layer_scaled("tflite", tmp_path, converter="litert-torch")
    assert report.verdict == "pass", report.reason
    assert any(one.tap.factor == 9 for one in report.readings)


def test_a_body_of_an_operator_is_no_obstacle(paths, tmp_path):
    from exporters.tflite.flatbuffer import model_bytes, read_model

    artifact = read_manifest(paths["tflite"])
    model = read_model(artifact.path.read_bytes())
    body = copy.deepcopy(model.subgraphs[0])
    body.operators = []
    model.subgraphs.append(body)
    several = dataclasses.replace(artifact, path=tmp_path / "several.tflite")
    several.path.write_bytes(model_bytes(model))
    values = format_named("tflite").values(several)
    assert values == format_named("tflite").values(artifact)
    sample = {key: array[0] for key, array in read_golden(artifact).inputs.items()}
    seen = format_named("tflite").load_inside(several, [values[0].name], [])(sample)
    assert seen[values[0].name].shape == values[0].shape


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_planted_is_named(cases, name, tmp_path):
    outcomes = list(plant(cases[name], (1, 9), tmp_path))
    assert {outcome.defect for outcome in outcomes} == {defect.__name__ for defect in DEFECTS}
    assert [outcome for outcome in outcomes if not outcome.found] == []
    said = {outcome.what for outcome in outcomes if outcome.defect == "relu_missing"}
    assert said == {"a ReLU is missing"}


@pytest.mark.parametrize("name", FORMATS)
def test_swapped_outputs_are_found(cases, name, tmp_path):
    outcome = swap(cases[name], ("main", "aux"), tmp_path)
    assert outcome.found
    assert outcome.what == "these are the values of output aux: outputs swapped"


def test_a_file_of_another_exporter_is_not_run(paths, tmp_path):
    import onnx

    artifact = read_manifest(paths["onnx"])
    model = onnx.load(str(artifact.path))
    for node in model.graph.node:
        del node.metadata_props[:]
    bare = dataclasses.replace(artifact, path=tmp_path / "bare.onnx")
    bare.path.write_bytes(model.SerializeToString())
    with pytest.raises(ParityError, match="are not marked with their layers"):
        check_layers(bare, read_golden(artifact), bisect=True)


def test_a_network_that_changed_since_is_refused(paths):
    artifact = read_manifest(paths["onnx"])
    golden = read_golden(artifact)
    others = {name: array * 1.001 for name, array in golden.outputs.items()}
    with pytest.raises(UsageError, match="now computes another main"):
        check_layers(artifact, dataclasses.replace(golden, outputs=others), bisect=True)


def test_an_overflow_in_half_precision_is_named(tmp_path):
    model = ModelSpec(NETWORK, input=InputSpec(size=32), seed=5)
    request = ExportRequest(model, ("coreml",), ("fp16",), output_dir=tmp_path)
    artifact = export_model(request, Stages()).outcomes[0].artifact
    surgeon = SURGEONS["coreml"](artifact.path)
    layer = next(
        one for one in surgeon.layers() if split_mark(one.mark)[0] == "body.transformer.up.primary.0"
    )
    layer.weight = layer.weight * (6e4 / abs(layer.weight).max())  # still a float16 number
    surgeon.put_back(layer)
    loud = dataclasses.replace(artifact, path=tmp_path / "loud.mlpackage")
    surgeon.save(loud.path)
    report = check_layers(loud, read_golden(artifact), bisect=False)
    first = first_divergence(report.readings)
    assert first.span == ("body.transformer.up.primary.0",)
    assert "overflow to infinity" in first.kind


def test_arithmetic_that_did_not_run_is_said(tmp_path):
    model = ModelSpec(NETWORK, input=InputSpec(size=32), seed=5)
    request = ExportRequest(model, ("onnx",), ("fp16",), output_dir=tmp_path)
    artifact = export_model(request, Stages()).outcomes[0].artifact
    report = check_layers(artifact, read_golden(artifact), bisect=False)
    assert (report.verdict, report.not_run) == ("pass", "fp16 arithmetic"), "ONNX Runtime widens it"
    assert report.as_json()["not_run"] == "fp16 arithmetic"


def test_what_cannot_be_looked_into_says_why(tmp_path):
    model = ModelSpec("tiny_networks:best_class", input=InputSpec(size=32))
    request = ExportRequest(model, ("onnx",), output_dir=tmp_path, verify=False)
    artifact = export_model(request, Stages()).outcomes[0].artifact
    with pytest.raises(ParityError, match="no output is computed in floating point"):
        check_layers(artifact, read_golden(artifact), bisect=False)
    free = ExportRequest(
        ModelSpec(NETWORK, input=InputSpec(size=32)), ("onnx",), output_dir=tmp_path, dynamic_batch=True
    )
    artifact = export_model(free, Stages()).outcomes[0].artifact
    with pytest.raises(ParityError, match="without --dynamic batch"):
        check_layers(artifact, read_golden(artifact), bisect=False)
