"""Laws every listed format keeps; being in FORMATS is enough to be held to them."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from planting.suite import SURGEONS
from tiny_networks import tiny

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import manifest_path, read_manifest
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.errors import DeployError, UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.files import digest
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.verdict import check_predictor, predict_golden
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.spec import CalibrationRequest, ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages

TINY = "tiny_networks:tiny"
PAIRS = [(name, recipe) for name in FORMATS for recipe in format_named(name).RECIPES]


@pytest.fixture(scope="session")
def tiny_request(tmp_path_factory):
    """The tiny network at 32 pixels, in every format."""
    return ExportRequest(
        ModelSpec(TINY, input=InputSpec(size=32), seed=3),
        formats=FORMATS,
        output_dir=tmp_path_factory.mktemp("exports"),
        calibration=CalibrationRequest("tiny_networks:pictures", images=16),
    )


@pytest.fixture(scope="session")
def exported(tiny_request):
    """Path by (format, recipe)."""
    paths = {}
    for name in FORMATS:
        request = dataclasses.replace(tiny_request, formats=(name,), precisions=format_named(name).RECIPES)
        for outcome in export_model(request, Stages()).outcomes:
            assert outcome.error is None, outcome.error
            paths[name, outcome.recipe] = outcome.artifact.path
    return paths


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_the_file_the_manifest_and_the_golden_file(exported, name, recipe):
    path = exported[name, recipe]
    assert path.name == f"tiny_32_{recipe}{format_named(name).SUFFIX}"
    artifact = read_manifest(path)
    assert artifact.sha256 == digest(path)
    assert (artifact.format, artifact.recipe, artifact.model) == (name, recipe, "tiny")
    assert artifact.weights == "as tiny_networks:tiny gives them"
    assert artifact.parity["verdict"] == "pass"
    assert {"mocovit-deploy", "torch"} <= set(artifact.tools)
    golden = read_golden(artifact)
    assert [spec.name for spec in artifact.inputs] == list(golden.inputs) == ["image"]
    assert [spec.name for spec in artifact.outputs] == list(golden.outputs) == ["logits"]
    assert 0 < np.abs(golden.rounding["logits"]).max() < 1e-6 * np.ptp(golden.outputs["logits"])
    assert artifact.parity["outputs"][0]["own_error"] < 1e-6
    for spec, array in zip(artifact.inputs, golden.inputs.values(), strict=True):
        assert array.shape == (len(golden), *spec.shape)
        assert str(array.dtype) == spec.dtype


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_the_check_can_be_repeated_from_the_files(exported, name, recipe):
    artifact = read_manifest(exported[name, recipe])
    report = check_predictor(artifact, read_golden(artifact), format_named(name).load(artifact))
    assert report.verdict == "pass"
    assert report.outputs[0].max_error <= report.tolerance.max_error


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_golden_outputs_of_another_network_fail(exported, name, recipe):
    artifact = read_manifest(exported[name, recipe])
    golden = read_golden(artifact)
    factor = np.float32(2.0 if recipe_named(recipe).quantizes else 1.02)
    nudged = {key: value * factor for key, value in golden.outputs.items()}
    predictor = format_named(name).load(artifact)
    assert check_predictor(artifact, dataclasses.replace(golden, outputs=nudged), predictor).verdict == "fail"


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_nudged_weights_fail(exported, name, recipe, tmp_path):
    """Scale one layer's weights in the file itself, wherever the format keeps them, and check the file."""
    source = read_manifest(exported[name, recipe])
    surgeon = SURGEONS[name](source.path)
    layer = surgeon.layers()[0]
    layer.weight = layer.weight * (-1.5 if recipe_named(recipe).quantizes else 1.5)
    surgeon.put_back(layer)
    changed = dataclasses.replace(source, path=tmp_path / source.path.name)
    surgeon.save(changed.path)
    report = check_predictor(changed, read_golden(source), format_named(name).load(changed))
    assert report.verdict == "fail"


@pytest.mark.parametrize("name", FORMATS)
def test_operators_are_listed_by_the_module_they_came_from(exported, name):
    found = format_named(name).operators(read_manifest(exported[name, "fp32"]))
    assert [one.index for one in found] == list(range(len(found)))
    assert all(one.kind for one in found)
    named = {one.where for one in found if "conv" in one.kind.lower()}
    modules = {path for path, module in tiny().named_modules() if isinstance(module, torch.nn.Conv2d)}
    assert named == modules


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_no_model_is_refused(exported, name, tmp_path):
    artifact = read_manifest(exported[name, "fp32"])
    for content in (b"", b"not a model", b"\0" * 10_000):
        broken = dataclasses.replace(artifact, path=tmp_path / artifact.path.name)
        broken.path.write_bytes(content)
        with pytest.raises(DeployError, match=str(tmp_path)):
            format_named(name).load(broken)


@pytest.mark.parametrize("name", FORMATS)
def test_load_and_import_need_no_torch(exported, name):
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\nfrom mocovit_deploy.formats import format_named\n"
        "from mocovit_deploy.artifacts.golden import read_golden\n"
        "from mocovit_deploy.artifacts.manifest import read_manifest\n"
        "from mocovit_deploy.parity.verdict import check_predictor\n"
        "a = read_manifest(Path(sys.argv[2]))\n"
        "print(check_predictor(a, read_golden(a), format_named(sys.argv[1]).load(a)).verdict)"
    )
    command = [sys.executable, "-c", code, name, str(exported[name, "fp32"])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().endswith("pass"), done.stderr


def test_unknown_format():
    with pytest.raises(UsageError, match="did you mean 'onnx'"):
        format_named("onx")


def test_a_format_that_computes_something_else_is_rejected_and_the_old_file_stays(
    tiny_request, exported, monkeypatch, tmp_path
):
    """Export again with a network that the file's writer gets wrong: the old file must survive."""
    request = dataclasses.replace(tiny_request, formats=("onnx",), output_dir=tmp_path)
    good = export_model(request, Stages()).outcomes[0].artifact.path
    before = digest(good)
    onnx = format_named("onnx")
    real = onnx.export

    def wrong(graph, example, job):
        state = {k: v * 1.01 if k.endswith("classifier.weight") else v for k, v in graph.state_dict().items()}
        graph.load_state_dict(state)
        return real(graph, example, job)

    monkeypatch.setattr(onnx, "export", wrong)
    outcome = export_model(request, Stages()).outcomes[0]
    assert outcome.report.verdict == "fail"
    assert outcome.error.exit_status == 4
    assert outcome.artifact.path == tmp_path / "rejected" / good.name
    assert digest(good) == before
    assert read_manifest(outcome.artifact.path).parity["verdict"] == "fail"
    assert manifest_path(good).exists()


def test_a_killed_export_leaves_the_old_file(tiny_request, tmp_path, monkeypatch):
    request = dataclasses.replace(tiny_request, formats=("onnx",), output_dir=tmp_path)
    (tmp_path / "tiny_32_fp32.onnx").write_text("old")

    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(format_named("onnx"), "export", die)
    with pytest.raises(KeyboardInterrupt):
        export_model(request, Stages())
    assert [p.name for p in tmp_path.iterdir()] == ["tiny_32_fp32.onnx"]
    assert (tmp_path / "tiny_32_fp32.onnx").read_text() == "old"


def test_one_formats_failure_does_not_stop_the_next(tiny_request, tmp_path, monkeypatch):
    from mocovit_deploy.errors import ConversionError
    from mocovit_deploy.exporting.pipeline import worst_error

    def fail(*_):
        raise ConversionError("cannot write this")

    monkeypatch.setattr(format_named("tflite"), "export", fail)
    request = dataclasses.replace(tiny_request, formats=("tflite", "onnx"), output_dir=tmp_path)
    done = export_model(request, Stages())
    assert [o.report.verdict for o in done.outcomes] == ["not run", "pass"]
    assert worst_error(done).exit_status == 3


@pytest.mark.parametrize("fault", ["export", "load"])
def test_one_formats_defect_is_its_own_error_and_the_next_goes_on(tiny_request, tmp_path, monkeypatch, fault):
    from mocovit_deploy.exporting.pipeline import worst_error

    def defect(*_):
        raise KeyError("no such table")

    monkeypatch.setattr(format_named("onnx"), fault, defect)
    request = dataclasses.replace(tiny_request, formats=("onnx", "coreml"), output_dir=tmp_path)
    done = export_model(request, Stages())
    broken, right = done.outcomes
    assert right.error is None
    assert worst_error(done) is broken.error
    if fault == "export":
        assert (broken.error.exit_status, broken.report.verdict) == (1, "not run")
        assert str(broken.error) == "onnx fp32: internal error: KeyError: 'no such table'"
        assert isinstance(broken.error.__cause__, KeyError)


def test_batched_outputs_are_compared(exported):
    artifact = read_manifest(exported["onnx", "fp32"])
    golden = read_golden(artifact)
    outputs = predict_golden(artifact, golden, format_named("onnx").load(artifact))
    assert outputs["logits"].shape == (len(golden), 1, 10)
