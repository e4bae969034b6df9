"""Inputs of unusual types, in every format: what a file takes is what its manifest says."""

import numpy as np

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import ConversionError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.models.load import load_network
from mocovit_deploy.parity.samples import samples
from mocovit_deploy.spec import PIXELS, ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages


def export(tmp_path, function, *formats):
    request = ExportRequest(ModelSpec(f"odd_networks:{function}"), formats=formats, output_dir=tmp_path)
    return {outcome.format: outcome for outcome in export_model(request, Stages()).outcomes}


def test_bytes_and_tokens_in_every_format(tmp_path):
    outcomes = export(tmp_path, "bytes_and_tokens", "onnx", "coreml", "tflite")
    taken = {
        "onnx": {"image": "uint8", "tokens": "int64"},
        "coreml": {"image": "int32", "tokens": "int32"},
        "tflite": {"image": "uint8", "tokens": "int32"},
    }
    for name, outcome in outcomes.items():
        assert outcome.error is None, outcome.error
        artifact = read_manifest(outcome.artifact.path)
        assert {one.name: one.dtype for one in artifact.inputs} == taken[name]
        golden = read_golden(artifact)
        assert {one: str(array.dtype) for one, array in golden.inputs.items()} == taken[name]
        assert 200 < golden.inputs["image"].max() <= 255


def test_an_image_of_bytes_is_an_image(tmp_path):
    network = load_network(ModelSpec("odd_networks:bytes_alone"))
    assert network.input == InputSpec(size=32, preprocessing=PIXELS, dtype="uint8")
    outcome = export(tmp_path, "bytes_alone", "coreml")["coreml"]
    assert outcome.error is None, outcome.error
    assert outcome.report.samples[0].startswith("china")
    assert outcome.artifact.preprocessing == PIXELS


def test_samples_of_bytes_are_the_photographs_pixels():
    names, pictures = samples(InputSpec(size=8, preprocessing=PIXELS, dtype="uint8"), seed=0)
    _, floats = samples(InputSpec(size=8, preprocessing=PIXELS), seed=0)
    assert pictures.dtype == np.uint8
    assert pictures.shape == (len(names), 1, 3, 8, 8)
    assert np.array_equal(pictures[:6].astype(np.float32), floats[:6])


def test_bytes_that_wrap_are_refused_by_core_ml_alone(tmp_path):
    outcomes = export(tmp_path, "bytes_that_wrap", "coreml", "onnx")
    assert isinstance(outcomes["coreml"].error, ConversionError)
    assert "aten.add.Tensor computes with image in torch.uint8" in str(outcomes["coreml"].error)
    assert outcomes["onnx"].error is None
