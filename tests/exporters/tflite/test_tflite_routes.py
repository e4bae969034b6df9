"""Who writes a TFLite file: the direct writer, and litert-torch for what that cannot write."""

import dataclasses
import sys

import numpy as np
import pytest
import torch
from torch import nn

import mocovit_deploy
from benchmarks.studies.zoo_document import ROWS
from exporters.tflite import load
from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import ConversionError, MissingToolError, UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages

SIZE = InputSpec(size=32)
TINY = ModelSpec("tiny_networks:tiny", input=SIZE)
ODD = ModelSpec("tiny_networks:error_function", input=SIZE)
ZOO = (
    *((row.model, row.size) for row in ROWS),
    ("timm/mobilevitv2_050", None),
    ("timm/efficientformerv2_s0", None),
)


def export(folder, model=TINY, **options):
    request = ExportRequest(model, ("tflite",), output_dir=folder, **options)
    return export_model(request, Stages()).outcomes[0]


def absent(monkeypatch):
    for package in ("litert_torch", "litert_converter", "ai_edge_quantizer", "jax"):
        monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize("recipe", ["fp32", "fp16", "fp16_weights"])
def test_direct_files_need_no_converter(tmp_path, monkeypatch, recipe):
    absent(monkeypatch)
    outcome = export(tmp_path, precisions=(recipe,))
    assert outcome.error is None
    assert outcome.report.verdict == "pass"
    assert outcome.notes == ()
    manifest = read_manifest(outcome.artifact.path)
    assert "litert-torch" not in manifest.tools
    assert manifest.source["options"]["converter"] == ""


@pytest.mark.slow
def test_both_converters_agree_on_a_tiny_network(tmp_path):
    agree(TINY, tmp_path, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), ZOO)
def test_both_converters_agree_on_the_zoo(name, size, tmp_path):
    agree(ModelSpec(name, input=OwnInput(size=size)), tmp_path, 1e-4)


def agree(model, folder, error):
    """Each converter's file gives the other's outputs, to `error` of their range."""
    outputs = []
    for converter in ("direct", "litert-torch"):
        outcome = export(folder / converter, model, converter=converter)
        assert outcome.error is None, outcome.error
        manifest = read_manifest(outcome.artifact.path)
        assert manifest.source["options"]["converter"] == converter
        assert ("litert-torch" in manifest.tools) == (converter == "litert-torch")
        sample = {name: array[0] for name, array in read_golden(manifest).inputs.items()}
        outputs.append(load(outcome.artifact)(sample))
    for name, expected in outputs[1].items():
        assert np.abs(outputs[0][name] - expected).max() <= error * np.ptp(expected)


def test_what_cannot_be_written_directly_goes_to_litert_torch_with_the_reason(tmp_path):
    outcome = export(tmp_path, ODD)
    assert outcome.report.verdict == "pass"
    reason = "the direct writer cannot write aten.erf of act: there is no TFLite operator for it"
    assert outcome.notes == (f"written by litert-torch: {reason}",)
    assert "litert-torch" in read_manifest(outcome.artifact.path).tools


def test_a_forced_converter_that_cannot_is_an_error(tmp_path):
    error = export(tmp_path, ODD, converter="direct").error
    assert isinstance(error, ConversionError)
    assert str(error) == (
        "the direct writer cannot write aten.erf of act: there is no TFLite operator for it; "
        "leave out --converter direct"
    )


def test_without_litert_torch_the_reason_comes_first(tmp_path, monkeypatch):
    absent(monkeypatch)
    error = export(tmp_path, ODD).error
    assert isinstance(error, MissingToolError)
    assert str(error).startswith("the direct writer cannot write aten.erf of act")
    assert "litert_torch is not installed" in str(error)


class Sorted(nn.Module):
    """`Sorted().order` needs an operator that LiteRT does not have."""

    def __init__(self):
        super().__init__()
        self.order = Order()

    def forward(self, x):
        return self.order(x.relu())


class Order(nn.Module):
    def forward(self, x):
        return x.sort(1)[0]


@pytest.mark.slow
def test_where_neither_converter_can_both_reasons_are_told(tmp_path):
    done = mocovit_deploy.export(Sorted(), torch.rand(1, 5), formats=("tflite",), output_dir=tmp_path)
    error = str(done.files[0].error)
    assert "the direct writer cannot write aten.sort of order: there is no TFLite operator for it" in error
    assert "cannot run what litert-torch writes: Didn't find op for builtin opcode 'STABLEHLO_SORT'" in error


def test_words_that_make_no_sense_are_refused(tmp_path):
    request = ExportRequest(TINY, ("tflite",), output_dir=tmp_path, converter="dirct")
    with pytest.raises(UsageError, match="did you mean 'direct'"):
        export_model(request, Stages())
    request = dataclasses.replace(request, formats=("onnx",), converter="direct")
    with pytest.raises(UsageError, match="--converter chooses what writes TFLite files"):
        export_model(request, Stages())
