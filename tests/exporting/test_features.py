"""`--features` in all formats: every map is an output of its own, with its own verdict, and has layers."""

import pytest

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.provenance import model_of
from mocovit_deploy.contract.first import first_contract
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.layers.check import check_layers
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.spec import ExportRequest, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages

FORMATS = ("onnx", "coreml", "tflite")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    spec = ModelSpec("mocovit_0_5", input=OwnInput(size=32), features=(2, 4))
    folder = tmp_path_factory.mktemp("features")
    return export_model(ExportRequest(spec, FORMATS, output_dir=folder), Stages()).outcomes


@pytest.mark.parametrize("name", FORMATS)
def test_every_map_is_an_output(exported, name):
    (outcome,) = [one for one in exported if one.format == name]
    assert outcome.report.verdict == PASS, outcome.report.reason
    assert [one.output for one in outcome.report.outputs] == ["stride_2", "stride_4"]
    artifact = read_manifest(outcome.artifact.path)
    assert artifact.path.name.startswith("mocovit_0_5_features_2_4_32_fp32")
    channels = [one.shape[-1 if one.layout == "nhwc" else 1] for one in artifact.outputs]
    assert channels == [8, 12]
    assert model_of(artifact).features == (2, 4)


def test_layers_are_compared(exported):
    artifact = next(one.artifact for one in exported if one.format == "tflite")
    report = check_layers(artifact, read_golden(artifact), bisect=False)
    assert report.verdict == PASS, report.reason
    assert any(one.tap.layer.module.startswith("blocks.2") for one in report.readings)


def test_a_contract_remembers_the_strides(exported, tmp_path):
    artifacts = [one.artifact for one in exported if one.format == "tflite"]
    assert "features = [2, 4]" in first_contract(artifacts, tmp_path).text
