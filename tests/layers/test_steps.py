"""Layers of int8 files: healthy ones are not accused, a damaged one is named."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("coremltools", reason="coremltools is not installed")

import torch

from exporters.coreml import compress
from exporters.coreml import run as coreml_run
from exporters.coreml.read import read_program
from exporters.tflite.flatbuffer import model_bytes, read_model
from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.marks import FileValue, Levels, RoundedRead
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.files import digest
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.layers.check import check_layers
from mocovit_deploy.layers.original import Trace
from mocovit_deploy.layers.steps import rounding_errors
from mocovit_deploy.layers.taps import find_taps
from mocovit_deploy.layers.trace import graph_after, trace
from mocovit_deploy.models.load import load_network
from mocovit_deploy.parity.tolerance import LAYER_TOLERANCES
from mocovit_deploy.spec import CalibrationRequest, ExportRequest, InputSpec, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages

RECIPES = {
    "tflite": (
        "static_wi8_ai8",
        "mixed_wi8_ai8",
        "static_wi8_ai16",
        "dynamic_wi8_afp32",
        "weight_only_wi8_afp32",
    ),
    "onnx": ("static_wi8_ai8", "weight_only_wi8_afp32"),
    "coreml": (
        "static_wi8_ai8",
        "static_wi8_ai8_fp16",
        "weight_only_wi8_afp32",
        "weight_only_wi8_afp16",
    ),
}
FILES = [(name, recipe) for name, recipes in RECIPES.items() for recipe in recipes]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of each format and recipe, calibrated on noisy images, by both."""
    folder = tmp_path_factory.mktemp("int8")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
    np.savez(folder / "images.npz", images=pixels)
    found = {}
    for name, recipes in RECIPES.items():
        request = ExportRequest(
            ModelSpec("tiny_networks:tiny", input=OwnInput(size=32)),
            (name,),
            recipes,
            output_dir=folder / "out",
            calibration=CalibrationRequest(str(folder / "images.npz"), 16),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(compress, "LEAST", 1)  # else Core ML files keep such small weights in float
            outcomes = export_model(request, Stages()).outcomes
        assert [one.error for one in outcomes] == [None] * len(recipes)
        found |= {(name, one.recipe): one.artifact.path for one in outcomes}
    return found


@pytest.mark.parametrize(("name", "recipe"), FILES)
def test_a_healthy_file_is_not_accused(files, name, recipe):
    artifact = read_manifest(files[name, recipe])
    report = check_layers(artifact, read_golden(artifact), bisect=False)
    assert report.verdict == "pass", report.reason
    tolerance = LAYER_TOLERANCES[name, recipe, report.arithmetic]
    assert report.steps == tolerance.steps
    assert "times what rounding adds" in report.reason
    assert all(reading.alone is not None for reading in report.readings), "each layer is run alone"
    worst = max(one.alone.max_error / one.allowed for one in report.readings) * report.steps
    assert worst <= tolerance.measured_steps + 0.5


def test_static_files_are_judged_on_calibration_images(files):
    golden = read_golden(read_manifest(files["tflite", "static_wi8_ai8"]))
    assert golden.names == tuple(f"calibration run {place}" for place in (0, 2, 4, 6, 9, 11, 13, 15))
    assert "random 0" in read_golden(read_manifest(files["tflite", "weight_only_wi8_afp32"])).names


@pytest.mark.parametrize(
    ("recipe", "module", "found"),
    [
        ("static_wi8_ai8", "stem.0", "stem"),
        ("static_wi8_ai8", "classifier", "classifier"),
        ("weight_only_wi8_afp32", "ghost.up.primary.0", "ghost.up.primary"),
    ],
)
def test_damaged_weights_are_found_in_onnx(files, tmp_path, recipe, module, found):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    path = files["onnx", recipe]
    model = onnx.load(path)
    reader = next(
        node
        for node in model.graph.node
        if node.op_type in ("Conv", "Gemm")
        and any(one.key == "module" and one.value == module for one in node.metadata_props)
    )
    widen = next(node for node in model.graph.node if node.output[0] == reader.input[1])
    stored = next(one for one in model.graph.initializer if one.name == widen.input[0])
    numbers = onnx.numpy_helper.to_array(stored)
    stored.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(numbers[::-1]), stored.name))
    artifact = read_manifest(copied(path, tmp_path, model.SerializeToString()))
    report = check_layers(artifact, read_golden(artifact), bisect=True)
    assert report.verdict == "fail"
    assert found in report.reason.partition(" is off by")[0]


@pytest.mark.parametrize(
    ("recipe", "module", "found"),
    [
        ("static_wi8_ai8", "stem.0", "stem"),
        ("static_wi8_ai8_fp16", "classifier", "classifier"),
        ("weight_only_wi8_afp16", "ghost.up.primary.0", "ghost.up.primary"),
    ],
)
def test_damaged_weights_are_found_in_core_ml(files, monkeypatch, recipe, module, found):
    def damaged_program(path):
        program = read_program(path)
        wanted = f"p_{module.replace('.', '_')}_weight"
        (name,) = (one for one in program.constants if one.startswith(wanted) and one in program.whole)
        turned = np.ascontiguousarray(np.asarray(program.constants[name])[::-1])
        return dataclasses.replace(program, constants={**program.constants, name: turned})

    monkeypatch.setattr(coreml_run, "read_program", damaged_program)
    artifact = read_manifest(files["coreml", recipe])
    report = check_layers(artifact, read_golden(artifact), bisect=True)
    assert report.verdict == "fail"
    assert found in report.reason.partition(" is off by")[0]


@pytest.mark.parametrize(
    ("recipe", "module", "damage"),
    [
        ("static_wi8_ai8", "stem.0", lambda weights: weights[::-1]),
        ("static_wi8_ai8", "ghost.up.primary.0", lambda weights: np.roll(weights, 1, axis=0)),
        ("static_wi8_ai8", "transformer.attention", lambda weights: weights // 2),
        ("static_wi8_ai8", "classifier", lambda weights: -weights),
        ("dynamic_wi8_afp32", "ghost.up.primary.0", lambda weights: np.roll(weights, 1, axis=0)),
    ],
)
def test_damaged_weights_are_found(files, tmp_path, recipe, module, damage):
    path = damaged(files["tflite", recipe], tmp_path, module, damage)
    artifact = read_manifest(path)
    report = check_layers(artifact, read_golden(artifact), bisect=True)
    assert report.verdict == "fail"
    piece = report.reason.partition(" is off by")[0]  # what the file has no value of is judged with the next
    assert (module.rpartition(".")[0] or module) in piece, report.reason


def damaged(path: Path, folder: Path, module: str, damage) -> Path:
    """A copy of a file of which the int8 weights of the first layer of `module` are changed."""
    model = read_model(path.read_bytes())
    graph = model.subgraphs[0]
    for operator in graph.operators:
        made = graph.tensors[int(operator.outputs[0])].name.decode()
        weights = graph.tensors[int(operator.inputs[1])] if len(operator.inputs) > 1 else None
        stored = None if weights is None else model.buffers[weights.buffer].data
        if module in made and stored is not None and weights.type == 9:
            shape = tuple(map(int, weights.shape))
            numbers = np.frombuffer(np.asarray(stored, np.uint8).tobytes(), np.int8).reshape(shape)
            changed = np.ascontiguousarray(damage(numbers)).astype(np.int8)
            model.buffers[weights.buffer].data = np.frombuffer(changed.tobytes(), np.uint8)
            break
    else:
        raise AssertionError(f"no int8 weights in {module}")
    return copied(path, folder, model_bytes(model))


def copied(path: Path, folder: Path, contents: bytes) -> Path:
    """A file with other contents, with what belongs to `path`."""
    for one in path.parent.glob(f"{path.name}.*"):
        (folder / one.name).write_bytes(one.read_bytes())
    copy = folder / path.name
    copy.write_bytes(contents)
    manifest = folder / f"{path.name}.json"
    manifest.write_text(manifest.read_text().replace(digest(path), digest(copy)))
    return copy


class Measured:
    """The tiny network with its trace, and what rounding adds to each of its operations."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        network = load_network(ModelSpec("tiny_networks:tiny", input=InputSpec(size=32)))
        captured = capture(network.module, network.inputs.for_capture(0, False))
        _, inputs = network.inputs.for_parity(0)
        sample = {name: array[0] for name, array in zip(network.input_names, inputs, strict=True)}
        self.trace: Trace = trace(network, captured, [sample])
        self.inputs = {name: [array] for name, array in sample.items()}
        self.graph = graph_after(captured)
        layers = [layer for layer in self.trace.layers if layer.operation in self.trace.values]
        self.names = [layer.operation for layer in layers]
        self.first = next(name for name in self.names if name.startswith("conv2d"))
        self.reader = next(layer.operation for layer in layers if self.first in layer.reads)

    def errors(self, **changes: dict[str, Any]) -> dict[str, float]:
        """`changes` are fields of the values of some operations; the others are not rounded."""
        values = [
            FileValue(one, (f":{one}",), self.trace.values[one][0].shape, **changes.get(one, {}))
            for one in self.names
        ]
        taps = find_taps(self.trace, values).taps
        return rounding_errors(self.graph, self.trace, taps, values, self.inputs)


@pytest.fixture(scope="module")
def measured():
    return Measured()


COARSE = Levels(-9.0, 9.0, 0.5)


def test_coarse_levels_add_to_their_value_and_to_what_reads_it(measured):
    plain = measured.errors()
    assert max(plain.values()) < 1e-6, "nothing is rounded"
    found = measured.errors(**{measured.first: {"levels": COARSE}})
    assert found[measured.first] > 0.01
    assert found[measured.reader] > 0.01


def test_an_operand_that_one_operation_rounds_adds_to_that_operation_alone(measured):
    read = RoundedRead((f":{measured.first}",), COARSE)
    found = measured.errors(**{measured.reader: {"reads": (read,)}})
    assert found.pop(measured.reader) > 0.01
    assert max(found.values()) < 1e-6


@pytest.mark.parametrize("levels", [COARSE, None], ids=["static", "dynamic"])
def test_a_rounded_input_adds_to_what_reads_it(measured, levels):
    read = RoundedRead(tuple(measured.inputs), levels)
    found = measured.errors(**{measured.first: {"reads": (read,)}})
    assert found[measured.first] > 1e-4
    other = RoundedRead(("another",), levels)
    assert measured.errors(**{measured.first: {"reads": (other,)}})[measured.first] < 1e-6


def test_only_weights_in_whole_numbers_are_rounded(measured):
    found = measured.errors(**{measured.first: {"whole_weights": True}})
    assert found.pop(measured.first) > 1e-4
    assert max(found.values()) < 1e-6


def test_an_error_without_bound_allows_nothing(measured):
    levels = Levels(-9.0, 9.0, float("inf"))
    assert measured.errors(**{measured.first: {"levels": levels}}).get(measured.first, 0.0) == 0.0
