import subprocess
import sys
from pathlib import Path

import odd_networks
import pytest
import torch
from tiny_networks import tiny
from torch import nn

import mocovit_deploy
from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.provenance import model_of
from mocovit_deploy.errors import ConversionError, ParityError, UsageError
from mocovit_deploy.parity.verdict import not_run
from mocovit_deploy.spec import Preprocessing


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    network = tiny()
    network.train()  # as a training loop leaves it
    before = {key: value.clone() for key, value in network.state_dict().items()}
    half = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    result = mocovit_deploy.export(
        network,
        torch.zeros(1, 3, 32, 32),
        formats=("onnx", "tflite"),
        output_dir=tmp_path_factory.mktemp("api"),
        name="mine",
        preprocessing=half,
        labels=[f"class {i}" for i in range(10)],
    )
    assert network.training, "the caller's module is not touched"
    assert not hasattr(network, "example_inputs")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    return network, result


def test_verdicts_and_paths(done):
    _, result = done
    assert result.require_pass() is result
    assert result.passed
    assert [file.path.name for file in result.files] == ["mine_32_fp32.onnx", "mine_32_fp32.tflite"]
    assert all(file.max_error < 1e-5 for file in result.files)
    assert result.passes["fold_batchnorm"] == 17
    assert "mine_32_fp32.onnx: pass, max error" in repr(result)
    assert len(repr(result)) < 400


def test_it_is_judged_against_the_module_in_evaluation_mode(done):
    network, result = done
    artifact = read_manifest(result.files[0].path)
    golden = read_golden(artifact)
    with torch.no_grad():
        expected = tiny_like(network)(torch.from_numpy(golden.inputs["image"][0]))
    assert torch.equal(expected, torch.from_numpy(golden.outputs["logits"][0]))
    assert artifact.preprocessing.mean == (0.5, 0.5, 0.5)
    assert artifact.weights == "as the module holds them"


def tiny_like(network):
    copy = tiny()
    copy.load_state_dict(network.state_dict())
    return copy.eval()


def test_a_module_in_bfloat16_is_exported_in_float32_and_that_is_said(tmp_path):
    network = odd_networks.bfloat16()
    done = mocovit_deploy.export(network, torch.zeros(1, 3, 32, 32), formats=("tflite",), output_dir=tmp_path)
    assert done.passed
    assert "has weights in bfloat16, but files compute in float32" in done.remark
    assert next(network.parameters()).dtype == torch.bfloat16


def test_the_check_again(done):
    report = mocovit_deploy.check(done[1].files[0].path)
    assert report.verdict == "pass"
    assert repr(report).startswith("<pass in onnxruntime ")
    assert len(repr(report)) < 200
    for nothing in (".", "..", "/"):
        with pytest.raises(UsageError, match="is a folder with no manifest beside it"):
            mocovit_deploy.check(nothing)


def test_layers_of_a_live_module_cannot_be_had_later_and_that_is_said(done):
    with pytest.raises(UsageError, match="was exported from a module that a Python program held"):
        model_of(read_manifest(done[1].files[0].path))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 6))

    def forward(self, left, right):
        return {"sum": left @ self.weight.T + right}


def test_the_files_prepare_the_image_if_asked(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    image = torch.zeros(1, 3, 32, 32)
    options = {"formats": ("tflite",), "output_dir": tmp_path, "name": "pixels", "normalize": True}
    (file,) = mocovit_deploy.export(network, image, **options).require_pass().files
    (taken,) = read_manifest(file.path).inputs
    assert taken.dtype == "uint8"


def test_several_inputs_by_name(tmp_path):
    example = {"right": torch.randn(2, 4), "left": torch.randn(2, 6)}
    result = mocovit_deploy.export(Pair(), example, formats=("onnx",), output_dir=tmp_path)
    assert result.require_pass().files[0].path.name == "Pair_fp32.onnx"
    assert [one.name for one in read_manifest(result.files[0].path).inputs] == ["left", "right"]


def test_a_file_that_fails_is_given_back_and_raises_when_asked(tmp_path, monkeypatch):
    from mocovit_deploy.parity import verdict

    monkeypatch.setattr(verdict, "judge_outputs", lambda *_: verdict.not_run("for the test"))
    result = mocovit_deploy.export(
        Pair(), [torch.randn(2, 6), torch.randn(2, 4)], formats=("onnx",), output_dir=tmp_path
    )
    assert not result.passed
    with pytest.raises(ParityError, match="for the test"):
        result.require_pass()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"formats": ("onxx",)}, UsageError, "did you mean 'onnx'"),
        ({"precisions": ("fp64",)}, UsageError, "unknown precision 'fp64'.*onnx has fp32, fp16,"),
        ({"lables": ()}, UsageError, "unexpected keyword argument 'lables'"),
        ({"example": torch.zeros(1, 5)}, ConversionError, "does not run on inputs of 1x5"),
        ({"labels": ("a",)}, UsageError, "labels: "),
        ({"labels": "labels.txt"}, UsageError, "labels='labels.txt': give a sequence of names"),
        ({"labels": ["a\nb"] * 10}, UsageError, "number 1, 'a.nb', is not one line of printable text"),
        ({"labels": range(10)}, UsageError, r"labels=\(0, 1, .*expected tuple\[str, \.\.\.\]"),
        ({"formats": "onnx"}, UsageError, r"as in formats=\('onnx',\)"),
        ({"precisions": "fp16"}, UsageError, r"as in precisions=\('fp16',\)"),
        ({"model": 3}, UsageError, "export: .*multiple values for .* 'model'"),
        ({"opset": "18"}, UsageError, "opset='18': expected int"),
        ({"seed": 1.5}, UsageError, "seed=1.5: expected int"),
        ({"without": "fold_scale"}, UsageError, r"without='fold_scale': expected tuple\[str"),
        ({"accuracy": "photographs"}, UsageError, r"expected AccuracyRequest \| None"),
        ({"calibration": "photographs"}, UsageError, r"expected CalibrationRequest \| None"),
        ({"name": "a/b"}, UsageError, "name='a/b': use only letters, digits"),
        ({"name": 'a"$b'}, UsageError, "use only letters, digits"),
        ({"example": torch.zeros(0, 3, 32, 32)}, UsageError, r"0 is empty \(0x3x32x32\)"),
        ({"preprocessing": {"mean": 1}}, UsageError, "expected mocovit_deploy.spec.Preprocessing"),
        (
            {"preprocessing": Preprocessing(mean=[0.5])},
            UsageError,
            r"preprocessing.mean=\[0.5\]: expected tuple",
        ),
        (
            {"preprocessing": Preprocessing(mean=(0.5,) * 2)},
            UsageError,
            "2 numbers, but the image has 3 channels",
        ),
        ({"preprocessing": Preprocessing(mean=(float("nan"),) * 3)}, UsageError, "must be finite"),
        ({"preprocessing": Preprocessing(std=(0.0,) * 3)}, UsageError, "must be finite and above 0"),
        ({"preprocessing": Preprocessing(scale=0.0)}, UsageError, "must be finite, and not 0"),
        ({"preprocessing": Preprocessing(colour_order="GRB")}, UsageError, "unknown colour order 'GRB'"),
        ({"app_code": True, "dynamic_batch": True}, UsageError, "code .--app-code. is written for networks"),
    ],
)
def test_mistakes(tmp_path, options, error, message):
    given = {"example": torch.zeros(1, 3, 32, 32), "formats": ("onnx",), **options}
    with pytest.raises(error, match=message):
        mocovit_deploy.export(tiny(), given.pop("example"), output_dir=tmp_path, **given)


@pytest.mark.parametrize(
    ("module", "hint"), [(tiny, "; call it, and pass the module that it returns"), ("net.py:tiny", "")]
)
def test_what_is_no_module_is_a_mistake(module, hint, tmp_path):
    with pytest.raises(UsageError, match=f"takes a torch.nn.Module, not a (function|str){hint}$"):
        mocovit_deploy.export(module, torch.zeros(1, 3, 32, 32), output_dir=tmp_path)


def test_a_preprocessing_that_nothing_would_use_is_refused(tmp_path):
    for module, example in ((Pair(), [torch.randn(2, 6), torch.randn(2, 4)]), (Raw(), Raw.example)):
        with pytest.raises(UsageError, match="preprocessing: .* leave preprocessing out"):
            mocovit_deploy.export(module, example, preprocessing=Preprocessing(), output_dir=tmp_path)


class Raw(nn.Module):
    """Takes pixels."""

    example = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)

    def forward(self, image):
        return image.float().mean((2, 3))


def test_one_number_stands_for_all_channels_in_code_too(tmp_path):
    half = Preprocessing(mean=(0.5,), std=(0.5,))
    options = {"formats": ("tflite",), "preprocessing": half, "app_code": True, "output_dir": tmp_path}
    (file,) = mocovit_deploy.export(tiny(), torch.zeros(1, 3, 32, 32), **options).require_pass().files
    assert read_manifest(file.path).preprocessing.mean == (0.5, 0.5, 0.5)
    kotlin, python = sorted(file.app_code)
    assert "MEAN = floatArrayOf(0.5f, 0.5f, 0.5f)" in kotlin.read_text()
    assert python.name == f"{file.path.name}.py"


def test_the_package_is_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "mocovit_deploy", "--version"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert done.stdout.startswith("mocovit-export ")


def test_a_file_is_measured_on_a_target_that_it_passes_on(monkeypatch):
    """The host's real kernels and clocks, for a fraction of a second."""
    from benchmarks.targets import host
    from benchmarks.targets.plain import timing_plan

    short = {"runs": 3, "min_s": 0.0, "warmup_runs": 1, "warmup_min_s": 0.0}
    monkeypatch.setattr(host, "timing_plan", lambda *given: timing_plan(*given, **short))
    model = Path(__file__).parent / "benchmarks" / "models" / "tiny.tflite"
    found = mocovit_deploy.measure(model)
    assert found.report.verdict == "pass"
    assert found.count is None
    assert len(found.times.samples_ms) == 3
    assert found.median_ms == sorted(found.times.samples_ms)[1]
    assert " ms, median of 3, litert " in repr(found)
    with pytest.raises(UsageError, match="unknown target 'hots'; did you mean 'host'"):
        mocovit_deploy.measure(model, target="hots")


def test_a_file_that_fails_on_the_target_is_not_measured(monkeypatch):
    from benchmarks.targets import host

    monkeypatch.setattr(host, "take_times", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr("mocovit_deploy.api.judge_outputs", lambda *_: not_run("for the test"))
    model = Path(__file__).parent / "benchmarks" / "models" / "tiny.tflite"
    with pytest.raises(ParityError, match="not run on host: for the test; nothing was measured"):
        mocovit_deploy.measure(model)
