from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from exporters import coreml
from exporters.coreml.execute import execute
from exporters.coreml.interface import DEPLOYMENT_TARGETS
from exporters.coreml.marks import marks_of
from exporters.coreml.read import read_program
from exporters.coreml.toolchain import coremltools
from exporters.coreml.write import write_package
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.errors import ConversionError, UsageError
from mocovit_deploy.spec import BATCH, Preprocessing, TensorSpec

IMAGE = TensorSpec("image", (1, 3, 8, 8), "float32", "nchw")
EXAMPLE = torch.linspace(-2, 2, 192).reshape(1, 3, 8, 8)


class Network(nn.Module):
    """A convolution and a function after it."""

    def __init__(self, function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x))


def exported(network: nn.Module, path: Path, recipe: str = "fp32", **options) -> tuple[Artifact, np.ndarray]:
    """Export as the line would (no grad, one functional graph); the artifact and the network's own output."""
    network = network.eval().requires_grad_(False)
    graph = torch.export.export(network, (EXAMPLE,)).module(check_guards=False)
    output = network(EXAMPLE).numpy()
    specs = {"inputs": (IMAGE,), "outputs": (TensorSpec("features", output.shape, "float32"),), **options}
    write_package(graph, (EXAMPLE,), path, recipe=recipe, **specs)
    tensors = specs["inputs"], specs["outputs"]
    return Artifact(path, "coreml", recipe, "m", "w", *tensors, Preprocessing(), "", ""), output


@pytest.mark.parametrize(("recipe", "bound"), [("fp32", 1e-6), ("fp16", 2e-3)])
def test_names_types_and_values(recipe, bound, tmp_path):
    artifact, expected = exported(Network(torch.tanh), tmp_path / "n.mlpackage", recipe)
    predictor = coreml.load(artifact)
    assert predictor.arithmetic == recipe
    assert [(v.name, v.dtype, v.shape) for v in predictor.program.inputs] == [("image", "fp32", (1, 3, 8, 8))]
    found = predictor({"image": EXAMPLE.numpy()})
    assert list(found) == ["features"]
    assert found["features"].dtype == np.float32
    assert 0 <= np.abs(found["features"] - expected).max() <= bound
    produced = {v.name: v.dtype for step in predictor.program.operations for v in step.outputs}
    assert produced["features"] == "fp32"


def test_fp16_halves_the_weights(tmp_path):
    sizes = {}
    for recipe in ("fp32", "fp16"):
        network = nn.Sequential(nn.Conv2d(3, 256, 3), nn.ReLU(), nn.Conv2d(256, 64, 1))
        exported(network, tmp_path / f"{recipe}.mlpackage", recipe)
        sizes[recipe] = sum(f.stat().st_size for f in (tmp_path / f"{recipe}.mlpackage").rglob("weight.bin"))
    assert 1.9 <= sizes["fp32"] / sizes["fp16"] <= 2.1


KERNELS = torch.linspace(-1, 1, 4 * 2 * 4 * 4).reshape(4, 2, 4, 4)
DROPPED_BY_COREMLTOOLS = {
    "gelu-tanh": lambda x: F.gelu(4 * x, approximate="tanh"),
    "gelu-exact": lambda x: F.gelu(4 * x),
    "add-alpha": lambda x: torch.add(x, x * x, alpha=2.5),
    "add-plain": lambda x: x + x * x,
    "sub-alpha": lambda x: torch.sub(x, x * x, alpha=2.5),
    "sub-plain": lambda x: x - x * x,
    "rsub-alpha": lambda x: torch.rsub(x, x * x, alpha=2.5),
    "rsub-scalar": lambda x: torch.rsub(x, 3.0, alpha=2.5),
    "addcmul-value": lambda x: torch.addcmul(x, x, x.tanh(), value=2.5),
    "addcmul-plain": lambda x: torch.addcmul(x, x, x.tanh()),
    "addcdiv-value": lambda x: torch.addcdiv(x, x.tanh(), x.abs() + 1, value=2.5),
    "addcdiv-plain": lambda x: torch.addcdiv(x, x.tanh(), x.abs() + 1),
    "pad-circular": lambda x: F.pad(x, (1, 2, 0, 3), "circular"),
    "conv-transpose": lambda x: F.conv_transpose2d(x, KERNELS, None, 3, (0, 1), (1, 0)),
    "pad-constant": lambda x: F.pad(x, (1, 2, 0, 3), "constant", 0.5),
}
UNKNOWN_TO_COREMLTOOLS = {
    "log-sigmoid": F.logsigmoid,
    "celu": lambda x: F.celu(x, 0.7),
    "channel-shuffle": lambda x: F.channel_shuffle(x, 2),
    "rot90": lambda x: torch.rot90(x, 1, (2, 3)),
}


@pytest.mark.parametrize("function", UNKNOWN_TO_COREMLTOOLS.values(), ids=UNKNOWN_TO_COREMLTOOLS)
def test_operations_without_a_translator_are_taken_apart(function, tmp_path):
    artifact, expected = exported(Network(function), tmp_path / "n.mlpackage")
    found = coreml.load(artifact)({"image": EXAMPLE.numpy()})["features"]
    assert np.abs(found - expected).max() <= 2e-6 * np.ptp(expected)


@pytest.mark.parametrize("function", DROPPED_BY_COREMLTOOLS.values(), ids=DROPPED_BY_COREMLTOOLS)
def test_keywords_are_not_lost(function, tmp_path):
    artifact, expected = exported(Network(function), tmp_path / "n.mlpackage")
    found = coreml.load(artifact)({"image": EXAMPLE.numpy()})["features"]
    assert np.abs(found - expected).max() <= 2e-6 * np.ptp(expected)


def test_a_scale_and_a_shift_stay_exact(tmp_path):
    """As a group norm ends; coremltools' own pass divides by sqrt(1 + 1e-5)."""
    scale, shift = torch.linspace(0.5, 2, 4).reshape(4, 1, 1), torch.linspace(-1, 1, 4).reshape(4, 1, 1)
    network = Network(lambda x: (x.tanh() * scale + shift).relu())
    artifact, expected = exported(network, tmp_path / "n.mlpackage")
    found = coreml.load(artifact)({"image": EXAMPLE.numpy()})["features"]
    assert np.abs(found - expected).max() <= 5e-7 * np.ptp(expected)


def test_tanh_gelu_is_one_operation(tmp_path):
    artifact, _ = exported(Network(DROPPED_BY_COREMLTOOLS["gelu-tanh"]), tmp_path / "n.mlpackage")
    program = read_program(artifact.path)
    (gelu,) = [step for step in program.operations if step.kind == "gelu"]
    assert program.constants[str(gelu.operands["mode"])] == "TANH_APPROXIMATION"


def test_writes_to_any_name_and_leaves_nothing_else(tmp_path):
    exported(Network(torch.relu), tmp_path / ".n.mlpackage.17.tmp")
    assert [p.name for p in tmp_path.iterdir()] == [".n.mlpackage.17.tmp"]
    manifest = json.loads((tmp_path / ".n.mlpackage.17.tmp" / "Manifest.json").read_text())
    assert manifest["fileFormatVersion"] == "1.0.0"


def test_metadata_names_the_recipe(tmp_path):
    import coremltools

    artifact, _ = exported(Network(torch.relu), tmp_path / "n.mlpackage")
    spec = coremltools.utils.load_spec(str(artifact.path))
    assert spec.description.metadata.userDefined["mocovit_deploy.recipe"] == "fp32"
    assert spec.specificationVersion == 7  # iOS 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"recipe": "int8"}, "unknown Core ML recipe 'int8'.*fp32, fp16"),
        ({"minimum_deployment_target": "iOSS17"}, "did you mean 'iOS17'.*macOS13"),
        ({"minimum_deployment_target": "iOS14"}, "ML programs need iOS 15"),
        ({"inputs": (TensorSpec("image", (BATCH, 3, 8, 8), "float32"),)}, "fixed batch"),
        ({"inputs": (TensorSpec("image", (1, 8, 8, 3), "float32", "nhwc"),)}, "NCHW"),
    ],
)
def test_what_cannot_be_asked_for(options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        exported(Network(torch.relu), tmp_path / "n.mlpackage", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_element_type_that_core_ml_has_not_is_a_conversion_error(tmp_path):
    outputs = (TensorSpec("features", (1, 4, 8, 8), "float64"),)
    with pytest.raises(ConversionError, match="float32 and int32 alone: output features is float64"):
        exported(Network(torch.relu), tmp_path / "n.mlpackage", outputs=outputs)


class Inside(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.act = Network(function)

    def forward(self, x):
        return self.act(x)


class Norms(nn.Module):
    """Three sums of torch's, the second of which is `add_1`, beside the sums of group norms."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(1, 3) for _ in range(3))

    def forward(self, x):
        for norm in self.norms:
            x = x + norm(x)
        return x.relu()


def test_marks_are_of_the_values_they_name(tmp_path):
    artifact, _ = exported(Norms(), tmp_path / "n.mlpackage")
    program = read_program(artifact.path)
    marks = {mark.partition(":")[2]: name for name, mark in marks_of(program).items()}
    sums = [marks[name] for name in ("add", "add_1")]
    found = execute(program, {"image": EXAMPLE.numpy()}, "fp32", wanted=sums)
    x = EXAMPLE
    for name in sums:
        x = x + F.group_norm(x, 1)
        np.testing.assert_allclose(found[name], x.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("function", "where"),
    [
        (lambda x: torch.fmod(x, 0.3), "act \\(fmod\\): Unsupported fx node"),
        (lambda x: torch.stack([x[..., None]] * 2), 'act \\(stack\\): .*rank <= 5. Layer "stack"'),
    ],
)
def test_what_coremltools_cannot_convert_is_an_error_that_names_the_module(function, where, tmp_path):
    with pytest.raises(ConversionError, match=rf"coremltools .* cannot convert {where}") as caught:
        exported(Inside(function), tmp_path / "n.mlpackage")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_deployment_targets_are_those_of_coremltools():
    targets = coremltools().target
    known = [name for name, target in targets.__members__.items() if target >= targets.iOS15]
    assert sorted(DEPLOYMENT_TARGETS) == sorted(known)
