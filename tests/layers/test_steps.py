"""Layers of int8 files: healthy ones are not accused, a damaged one is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

import torch

from exporters.tflite.flatbuffer import model_bytes, read_model
from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.marks import FileValue, Levels
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

RECIPES = ("static_wi8_ai8", "mixed_wi8_ai8", "static_wi8_ai16", "weight_only_wi8_afp32")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of each recipe, calibrated on noisy images."""
    folder = tmp_path_factory.mktemp("int8")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
    np.savez(folder / "images.npz", images=pixels)
    request = ExportRequest(
        ModelSpec("tiny_networks:tiny", input=OwnInput(size=32)),
        ("tflite",),
        RECIPES,
        output_dir=folder / "out",
        calibration=CalibrationRequest(str(folder / "images.npz"), 16),
    )
    outcomes = export_model(request, Stages()).outcomes
    assert [one.error for one in outcomes] == [None] * len(RECIPES)
    return {one.recipe: one.artifact.path for one in outcomes}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_healthy_file_is_not_accused(files, recipe):
    artifact = read_manifest(files[recipe])
    report = check_layers(artifact, read_golden(artifact), bisect=False)
    assert report.verdict == "pass", report.reason
    assert report.steps == LAYER_TOLERANCES["tflite", recipe, report.arithmetic].steps
    assert "times what rounding adds" in report.reason
    assert all(reading.alone is not None for reading in report.readings), "each layer is run alone"
    measured = LAYER_TOLERANCES["tflite", recipe, report.arithmetic].measured_steps
    worst = max(one.alone.max_error / one.allowed for one in report.readings) * report.steps
    assert worst <= measured + 0.5


def test_static_files_are_judged_on_calibration_images(files):
    golden = read_golden(read_manifest(files["static_wi8_ai8"]))
    assert golden.names == tuple(f"calibration image {place}" for place in (0, 2, 4, 6, 9, 11, 13, 15))
    assert "random 0" in read_golden(read_manifest(files["weight_only_wi8_afp32"])).names


@pytest.mark.parametrize(
    ("module", "damage"),
    [
        ("stem.0", lambda weights: weights[::-1]),
        ("ghost.up.primary.0", lambda weights: np.roll(weights, 1, axis=0)),
        ("transformer.attention", lambda weights: weights // 2),
        ("classifier", lambda weights: -weights),
    ],
)
def test_damaged_weights_are_found(files, tmp_path, module, damage):
    path = damaged(files["static_wi8_ai8"], tmp_path, module, damage)
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
    for one in path.parent.glob(f"{path.name}*"):
        (folder / one.name).write_bytes(one.read_bytes())
    copy = folder / path.name
    copy.write_bytes(model_bytes(model))
    manifest = folder / f"{path.name}.json"
    manifest.write_text(manifest.read_text().replace(digest(path), digest(copy)))
    return copy


def test_rounding_is_counted_where_it_happens():
    """Coarse levels of one value add to the layer that reads it, and fine ones to none."""
    torch.manual_seed(0)
    spec = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32))
    network = load_network(spec)
    captured = capture(network.module, network.inputs.for_capture(0, False))
    _, inputs = network.inputs.for_parity(0)
    sample = {name: array[0] for name, array in zip(network.input_names, inputs, strict=True)}
    inside: Trace = trace(network, captured, [sample])
    layers = [layer for layer in inside.layers if layer.operation in inside.values]
    names = [layer.operation for layer in layers]
    place = names.index(next(name for name in names if name.startswith("conv2d")))
    reader = next(layer for layer in layers if names[place] in layer.reads)

    def errors(step: float) -> dict[str, float]:
        values = [
            FileValue(
                one,
                (f":{one}",),
                inside.values[one][0].shape,
                "",
                Levels(-9.0, 9.0, step if one == names[place] else 1e-6),
            )
            for one in names
        ]
        taps = find_taps(inside, values).taps
        graph = graph_after(captured)
        return rounding_errors(graph, inside, taps, values, [list(sample.values())])

    fine, coarse = errors(1e-6), errors(0.5)
    assert coarse[names[place]] > 10 * fine[names[place]]
    assert coarse[reader.operation] > fine[reader.operation]
