"""Generated code: its constants are the manifest's, the Python runs, the Kotlin compiles (slow)."""

import ast
import dataclasses
import importlib.util
import runpy

import numpy as np
import pytest
from kotlin_compiler import compile_kotlin, missing_for_kotlin
from PIL import Image

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.ship.app_code import TEMPLATES, app_code
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec, TensorSpec
from mocovit_deploy.terminal.progress import Stages

LABELS = tuple(f"class {i}" for i in range(10))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32))
    folder = tmp_path_factory.mktemp("app")
    request = ExportRequest(model, FORMATS, output_dir=folder, labels=LABELS, app_code=True)
    outcomes = export_model(request, Stages()).outcomes
    assert not [outcome.error for outcome in outcomes if outcome.error]
    return {outcome.format: outcome for outcome in outcomes}


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem.replace(".", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def constants(path):
    """Names and values that a Python file assigns, without running it."""
    values = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            for name, value in zip(node.targets[0].elts, node.value.elts, strict=True):
                values[name.id] = value.attr if isinstance(value, ast.Attribute) else ast.literal_eval(value)
    return values


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gets_its_languages_beside_the_file(exported, name):
    outcome = exported[name]
    path = outcome.artifact.path
    wanted = {f"{path.name}{suffix}" for suffix in TEMPLATES[name]} | {f"{path.name}.labels.txt"}
    assert {code.name for code in outcome.app_code} == wanted
    assert all(code.exists() and code.parent == path.parent for code in outcome.app_code)


@pytest.mark.parametrize("name", FORMATS)
def test_constants_are_those_of_the_manifest(exported, name):
    artifact = read_manifest(exported[name].artifact.path)
    said = constants(artifact.path.with_name(f"{artifact.path.name}.py"))
    image, output, how = artifact.inputs[0], artifact.outputs[0], artifact.preprocessing
    assert (said["INPUT"], said["INPUT_SHAPE"], said["INPUT_DTYPE"]) == (image.name, image.shape, image.dtype)
    assert (said["OUTPUT"], said["OUTPUT_SHAPE"]) == (output.name, output.shape)
    assert (said["SCALE"], said["MEAN"], said["STD"]) == (how.scale, how.mean, how.std)
    for suffix in set(TEMPLATES[name]) - {".py"}:
        text = artifact.path.with_name(f"{artifact.path.name}{suffix}").read_text()
        assert f"@{'FILE'}@" not in text
        assert artifact.path.name in text
        assert ", ".join(map(str, image.shape)) in text
        assert all(repr(value) in text for value in (how.scale, *how.mean, *how.std))


@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_the_python_gives_the_golden_outputs(exported, name):
    artifact = read_manifest(exported[name].artifact.path)
    golden, module = read_golden(artifact), loaded(artifact.path.with_name(f"{artifact.path.name}.py"))
    for given, wanted in zip(golden.inputs["image"], golden.outputs["logits"], strict=True):
        np.testing.assert_allclose(module.run(given), wanted, atol=1e-5 * np.ptp(golden.outputs["logits"]))
    assert module.labels() == list(LABELS)
    best = module.classify(Image.new("RGB", (50, 40), (200, 30, 90)), top=3)
    assert len(best) == 3
    assert best[0][1] >= best[1][1] >= best[2][1]
    assert {name for name, _ in best} <= set(LABELS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "usage: python tiny_32_fp32.onnx.py photograph.jpg"),
        (["nowhere.jpg"], "nowhere.jpg: [Errno 2] No such file"),
        ([__file__], f"{__file__}: cannot identify image file"),
    ],
)
def test_the_python_as_a_program_tells_mistakes_in_a_line(exported, words, message, monkeypatch):
    path = exported["onnx"].artifact.path
    monkeypatch.setattr("sys.argv", [f"{path}.py", *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(f"{path}.py", run_name="__main__")
    assert str(end.value).startswith(message)


@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_the_python_prepares_images_as_the_samples_are(exported, name):
    artifact = read_manifest(exported[name].artifact.path)
    module = loaded(artifact.path.with_name(f"{artifact.path.name}.py"))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    wanted = preprocess(pixels, artifact.preprocessing)
    wanted = wanted.transpose(1, 2, 0) if artifact.inputs[0].layout == "nhwc" else wanted
    np.testing.assert_allclose(module.prepare(Image.fromarray(pixels))[0], wanted, rtol=1e-6)


def test_bgr_reaches_every_language(exported):
    artifact = read_manifest(exported["tflite"].artifact.path)
    bgr = dataclasses.replace(
        artifact, preprocessing=dataclasses.replace(artifact.preprocessing, colour_order="BGR")
    )
    code = app_code(bgr)
    assert "pixel shr (8 * channel)" in code["tiny_32_fp32.tflite.kt"]
    assert 'COLOUR_ORDER = 32, 3, "BGR"' in code["tiny_32_fp32.tflite.py"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": (TensorSpec("a", (1, 4), "float32"),)}, "one grey or colour image"),
        ({"inputs": (TensorSpec("a", (2, 8, 8, 3), "float32", "nhwc"),)}, "batch 1"),
        ({"outputs": (TensorSpec("a", (1, 4), "float32"), TensorSpec("b", (1, 4), "float32"))}, "one output"),
    ],
)
def test_other_networks_are_refused(exported, change, message):
    artifact = read_manifest(exported["tflite"].artifact.path)
    with pytest.raises(UsageError, match=message):
        app_code(dataclasses.replace(artifact, **change))


def test_a_checkpoint_called_anything_stays_within_its_comment(exported):
    for name in ("tflite", "coreml"):
        artifact = read_manifest(exported[name].artifact.path)
        weights = 'evil """ \\x */\nimport os\n.pt, sha256 0123'
        for file, text in app_code(dataclasses.replace(artifact, weights=weights)).items():
            (line,) = [line for line in text.splitlines() if "evil" in line]
            assert line.endswith(": weights evil ''' /x * / import os .pt, sha256 0123")
            if file.endswith(".py"):
                ast.parse(text)


def test_a_network_that_no_code_fits_is_told_before_a_file_is_written(tmp_path):
    model = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32, batch=2))
    request = ExportRequest(model, ("tflite",), output_dir=tmp_path / "out", app_code=True)
    with pytest.raises(
        UsageError, match=r"^tiny: code .--app-code. is written for .* batch 1; this one takes"
    ):
        export_model(request, Stages())
    assert not list((tmp_path / "out").rglob("tiny*"))


@pytest.mark.parametrize("picture", [False, True])
def test_swift_says_that_it_was_not_compiled(exported, picture):
    artifact = read_manifest(exported["coreml"].artifact.path)
    if picture:
        (image,) = artifact.inputs
        artifact = dataclasses.replace(artifact, inputs=(dataclasses.replace(image, dtype="uint8"),))
    swift = app_code(artifact)["tiny_32_fp32.mlpackage.swift"]
    assert ("imageConstraint" in swift) == picture
    assert "It was not compiled: that needs Xcode." in swift


# layout of the file, whether it takes pixels, its precision, which names the class
KOTLIN = (("nhwc", False, "fp32"), ("nchw", False, "fp16"), ("nhwc", True, "fp16_weights"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_kotlin_compiles(tmp_path):
    """In both layouts, for numbers and for pixels; the walk of docs/your-app.md compiles more."""
    if missing := missing_for_kotlin():
        pytest.skip(f"{missing} is not installed")
    written = []
    for layout, normalize, recipe in KOTLIN:
        model = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32), normalize=normalize)
        request = ExportRequest(
            model, ("tflite",), (recipe,), output_dir=tmp_path, labels=LABELS, app_code=True, layout=layout
        )
        (outcome,) = export_model(request, Stages()).outcomes
        written += [path for path in outcome.app_code if path.suffix == ".kt"]
    said = compile_kotlin(written, tmp_path / "classes")
    assert "warning: " not in said, said
    made = {path.stem for path in (tmp_path / "classes").glob("*.class")}
    assert {"Tiny32Fp32", "Tiny32Fp16", "Tiny32Fp16Weights"} <= made
