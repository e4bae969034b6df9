"""The Python written for segmenters and detectors runs, and says what this package says of the same file."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from kotlin_compiler import RUNNING, compile_kotlin, missing_for_kotlin, run_kotlin
from PIL import Image

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.boxes.decode import detections
from mocovit_deploy.boxes.masks import instances
from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.ship.task_code import require_one_image
from mocovit_deploy.spec import ExportRequest, ModelSpec, OwnInput, TensorSpec
from mocovit_deploy.terminal.progress import Stages

LABELS = ("zero", "one", "two")
SIZE = OwnInput(size=64, width=96)


def exported(folder, network, arguments=(), normalize=False, formats=("tflite", "onnx")):
    spec = ModelSpec(f"tiny_tasks:{network}", arguments, input=SIZE, normalize=normalize)
    request = ExportRequest(spec, formats, output_dir=folder, labels=LABELS, app_code=True)
    outcomes = export_model(request, Stages()).outcomes
    assert [one.error for one in outcomes] == [None] * len(outcomes)
    return [read_manifest(one.artifact.path) for one in outcomes]


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """An image of the size that the networks take, so that nothing is resized."""
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    pixels = np.random.default_rng(2).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def said(artifact, picture):
    """The lines that the written Python prints."""
    script = artifact.path.with_name(f"{artifact.path.name}.py")
    done = subprocess.run([sys.executable, script, picture], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def outputs_of(artifact, picture):
    pixels, (spec,) = np.asarray(Image.open(picture)), artifact.inputs
    tensor = (
        pixels.transpose(2, 0, 1) if spec.dtype == "uint8" else preprocess(pixels, artifact.preprocessing)
    )
    tensor = tensor.transpose(1, 2, 0) if spec.layout == "nhwc" else tensor
    return format_named(artifact.format).load(artifact)({spec.name: np.ascontiguousarray(tensor[np.newaxis])})


@pytest.mark.parametrize(("boxes", "normalize"), [("raw", True), ("decoded", False)])
def test_a_detectors_code_finds_the_objects(boxes, normalize, picture, tmp_path):
    for artifact in exported(tmp_path, "detector", (("boxes", boxes),), normalize):
        wanted = detections(artifact.task, outputs_of(artifact, picture))
        assert len(wanted) > 5
        lines = said(artifact, picture)
        assert len(lines) == len(wanted)
        for line, one in zip(lines, wanted, strict=True):
            score, left, top, right, bottom, name = line.split()
            assert name == LABELS[one.label]
            assert float(score) == pytest.approx(one.score, abs=2e-3)
            box = [float(top), float(left), float(bottom), float(right)]
            assert box == pytest.approx(
                [side * one.box[i] for i, side in enumerate((64, 96, 64, 96))], abs=0.1
            )


@pytest.mark.parametrize("boxes", ["raw", "decoded"])
def test_an_instance_segmenters_code_gives_the_pixels(boxes, picture, tmp_path):
    for artifact in exported(tmp_path, "instances", (("boxes", boxes),)):
        wanted = instances(artifact.task, outputs_of(artifact, picture))
        assert len(wanted) > 5
        assert sum(one.mask.sum() for one in wanted) > 100
        code = runpy.run_path(f"{artifact.path}.py")
        found = code["detect"](Image.open(picture))
        assert [name for name, *_ in found] == [LABELS[one.detection.label] for one in wanted]
        for (_, score, _, mask), one in zip(found, wanted, strict=True):
            assert score == pytest.approx(one.detection.score, abs=2e-3)
            assert (mask != one.mask).mean() < 0.001
        assert len(said(artifact, picture)) == len(wanted)


def test_a_segmenters_code_names_the_pixels(picture, tmp_path):
    for artifact in exported(tmp_path, "segmenter", normalize=True):
        scores = outputs_of(artifact, picture)["segmentation"][0]
        shares = {
            line.split()[1]: float(line.split()[0].rstrip("%")) / 100 for line in said(artifact, picture)
        }
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
        enlarged = torch.from_numpy(scores).softmax(-1).permute(2, 0, 1)[None]
        fine = torch.nn.functional.interpolate(enlarged, (64, 96), mode="bilinear")[0].argmax(0)
        wanted = [float((fine == label).float().mean()) for label in range(3)]
        assert [shares.get(label, 0.0) for label in LABELS] == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("normalize", [True, False])
def test_code_for_core_ml_is_python(normalize, tmp_path):
    (artifact,) = exported(tmp_path, "detector", normalize=normalize, formats=("coreml",))
    text = Path(f"{artifact.path}.py").read_text()
    names = [one.name for one in ast.parse(text).body if isinstance(one, ast.FunctionDef)]
    assert {"prepare", "run", "detect"} <= set(names)
    assert "import coremltools" in text


@pytest.fixture(scope="module")
def onnx_files(tmp_path_factory):
    networks = ("segmenter", "detector")
    return {
        one: exported(tmp_path_factory.mktemp(one), one, normalize=True, formats=("onnx",))[0].path
        for one in networks
    }


@pytest.mark.parametrize("network", ["segmenter", "detector"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "usage: python "),
        (["nowhere.jpg"], "nowhere.jpg: [Errno 2] No such file"),
        ([__file__], f"{__file__}: cannot identify image file"),
    ],
)
def test_the_python_as_a_program_tells_mistakes_in_a_line(onnx_files, network, words, message, monkeypatch):
    path = onnx_files[network]
    monkeypatch.setattr("sys.argv", [f"{path}.py", *words])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(f"{path}.py", run_name="__main__")
    assert str(end.value).startswith(message)


@pytest.mark.parametrize("network", ["segmenter", "detector"])
def test_the_python_refuses_what_is_not_finite(onnx_files, network, picture):
    code = runpy.run_path(f"{onnx_files[network]}.py")
    computed = code["_outputs"]

    def with_nan(tensor):
        found = {name: array.copy() for name, array in computed(tensor).items()}
        found[list(found)[-1]].flat[7] = np.nan
        return found

    code["run"].__globals__["_outputs"] = with_nan
    with pytest.raises(ValueError, match=r"\.onnx computes NaN or infinity in (segmentation|boxes)"):
        code["lines"](Image.open(picture))


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML runs there")
@pytest.mark.parametrize("normalize", [True, False])
def test_the_python_for_core_ml_tells_another_system_in_a_line(normalize, picture, tmp_path):
    for network in ("segmenter", "detector"):
        (artifact,) = exported(tmp_path, network, normalize=normalize, formats=("coreml",))
        code = runpy.run_path(f"{artifact.path}.py")
        with pytest.raises(SystemExit, match="^Core ML runs on macOS only$"):
            code["lines"](Image.open(picture))


MAIN = """
import android.content.res.AssetManager
import android.graphics.Bitmap
import java.io.File

fun main(words: Array<String>) {{
    {name}(AssetManager(File(words[0]))).use {{ network ->
        {body}
    }}
}}
"""
DETECT = """for (one in network.detect(Bitmap(192, 128))) {
    println("${one.label} ${one.name} ${one.score} ${one.left} ${one.top} ${one.right} ${one.bottom}")
}"""
SEGMENT = 'println(network.segment(Bitmap(96, 64)).joinToString(" "))'


def ran_in_kotlin(artifact, outputs, body, folder):
    """What `body` prints, in the Kotlin written beside a file that returns `outputs`."""
    (spec,) = artifact.inputs
    given = folder / "given"
    given.mkdir()
    (given / "input.shape").write_text(" ".join(map(str, spec.shape)))
    (given / "input.type").write_text(spec.dtype.upper())
    for name, array in outputs.items():
        (given / f"{name}.shape").write_text(" ".join(map(str, array.shape)))
        (given / f"{name}.f32").write_bytes(array.astype("<f4").tobytes())
    code = Path(f"{artifact.path}.kt")
    name = re.search(r"^class (\w+)", code.read_text(), re.MULTILINE)[1]
    main = folder / "Main.kt"
    main.write_text(MAIN.format(name=name, body=body))
    said = compile_kotlin([code, main], folder / "classes", RUNNING)
    assert "warning: " not in said, said
    assert "warning: " not in compile_kotlin([code], folder / "declared")
    return run_kotlin(folder / "classes", "MainKt", [str(artifact.path.parent)], [f"outputs={given}"])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("boxes", ["raw", "decoded"])
def test_the_kotlin_finds_the_objects(boxes, picture, tmp_path):
    if missing := missing_for_kotlin():
        pytest.skip(f"{missing} is not installed")
    (artifact,) = exported(tmp_path, "detector", (("boxes", boxes),), boxes == "raw", ("tflite",))
    outputs = outputs_of(artifact, picture)
    wanted = detections(artifact.task, outputs)
    lines = ran_in_kotlin(artifact, outputs, DETECT, tmp_path).splitlines()
    assert len(lines) == len(wanted) > 5
    for line, one in zip(lines, wanted, strict=True):
        label, name, score, *box = line.split()
        assert (int(label), name) == (one.label, LABELS[one.label])
        assert float(score) == pytest.approx(one.score, abs=1e-6)
        top, left, bottom, right = (side * value for side, value in zip((128, 192) * 2, one.box, strict=True))
        assert [float(value) for value in box] == pytest.approx(
            [left, top, right, bottom], rel=1e-4, abs=1e-2
        )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_kotlin_names_the_pixels(picture, tmp_path):
    if missing := missing_for_kotlin():
        pytest.skip(f"{missing} is not installed")
    (artifact,) = exported(tmp_path, "segmenter", formats=("tflite",))
    outputs = outputs_of(artifact, picture)
    found = np.array(ran_in_kotlin(artifact, outputs, SEGMENT, tmp_path).split(), int).reshape(64, 96)
    shares = torch.from_numpy(outputs["segmentation"]).softmax(-1).permute(0, 3, 1, 2)
    fine = torch.nn.functional.interpolate(shares, (64, 96), mode="bilinear")[0].argmax(0).numpy()
    assert (found == fine).mean() > 0.999


@pytest.mark.parametrize("network", ["segmenter", "detector"])
@pytest.mark.parametrize("normalize", [True, False])
def test_swift_holds_the_same_numbers_and_says_that_it_was_not_compiled(network, normalize, tmp_path):
    (artifact,) = exported(tmp_path, network, normalize=normalize, formats=("coreml",))
    swift = Path(f"{artifact.path}.swift").read_text()
    assert "It was not compiled: that needs Xcode." in swift
    assert "static let height = 64, width = 96, channels = 3" in swift
    assert ("cgImage: image, constraint: picture" in swift) == normalize
    for one in artifact.outputs:
        assert f'"{one.name}": {np.prod(one.shape)}' in swift
    if network == "segmenter":
        assert "rows = 8, columns = 12, stride = 8, classCount = 3" in swift
    else:
        assert "classCount = 3, anchorCount = 384, isDecoded = false" in swift
        assert "boxScales: [Float] = [10.0, 10.0, 5.0, 5.0]" in swift
    pairs = {"(": ")", "[": "]", "{": "}"}
    bare = re.sub(r'"(\\.|[^"\\])*"|//.*', "", swift)
    assert all(bare.count(one) == bare.count(other) for one, other in pairs.items())


@pytest.mark.parametrize("network", ["segmenter", "detector"])
def test_kotlin_is_written_for_tflite_alone(network, tmp_path):
    artifacts = exported(tmp_path, network)
    written = {
        path.name.removeprefix(one.path.name)
        for one in artifacts
        for path in tmp_path.glob(f"{one.path.name}.*")
    }
    assert ".kt" in written
    assert ".swift" not in written
    assert not list(tmp_path.glob("*.onnx.kt"))


def test_only_one_colour_image_is_taken():
    require_one_image("net", [TensorSpec("image", (1, 64, 96, 3), "uint8", "nhwc")])
    for shape, dtype in (
        ((1, 64, 96, 1), "uint8"),
        ((2, 64, 96, 3), "uint8"),
        ((1, 64, 96, 3), "int32"),
        ((1, 9), "uint8"),
    ):
        with pytest.raises(
            UsageError, match=r"net: code \(--app-code\) is written for networks of one colour"
        ):
            require_one_image("net", [TensorSpec("image", shape, dtype, "nhwc")])
