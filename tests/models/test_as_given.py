"""What is judged is what the user gave: its outputs, taken before the tool sees it, are the golden file's."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import InputSpec, ModelSpec

OWN = '''
import torch
from torch import nn

class Counted(nn.Module):
    """A buffer, a layer scale and zero biases: all that a random network is given and a user's must keep."""

    def __init__(self, classes=4):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        nn.init.zeros_(self.conv.bias)
        self.norm = nn.BatchNorm2d(8)
        self.group = nn.GroupNorm(2, 8)
        self.layer_scale = nn.Parameter(torch.full((8, 1, 1), 1e-5))
        self.register_buffer("offset", torch.tensor(0.25))
        self.classifier = nn.Linear(8, classes)

    def forward(self, image):
        x = self.norm(self.conv(image))
        x = x + self.layer_scale * self.group(x) + self.offset
        return self.classifier(torch.nn.functional.dropout(x, 0.5, self.training).mean((2, 3)))

def trained(num_classes=4):
    torch.manual_seed(11)
    net = Counted(num_classes)
    net.norm.running_mean.uniform_(-1, 1)
    net.norm.running_var.uniform_(0.25, 4)
    return net.eval()

def in_training_mode(): return trained().train()

def fresh():
    torch.manual_seed(11)
    return Counted()

def half_trained():
    net = trained()
    net.norm.train()
    return net

def without_classes(): return trained()
'''


@pytest.fixture
def own(tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path / "own.py"


def given(path, function, *arguments):
    """What the user's function returns, by Python's own means."""
    names: dict = {}
    exec(compile(path.read_text(), str(path), "exec"), names)  # noqa: S102 - the test's own text
    return names[function](*arguments).eval()


@pytest.mark.parametrize("function", ["trained", "in_training_mode", "fresh"])
def test_a_module_of_the_users_is_never_changed(own, function):
    before = given(own, function)
    network = load_network(ModelSpec(f"{own}:{function}", input=InputSpec(size=32)))
    after = network.module.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.state_dict().items())
    assert network.weights == f"as own.py:{function} gives them"
    assert network.trained


def test_its_outputs_are_the_golden_files(own, tmp_path):
    original = given(own, "trained")
    command = [
        sys.executable,
        "-c",
        "from mocovit_deploy.cli.main import export_main; raise SystemExit(export_main())",
        "--model",
        f"{own}:trained",
        "--image-size",
        "32",
        "--format",
        "onnx",
        "--output-dir",
        str(tmp_path),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "random" not in run.stdout + run.stderr
    golden = read_golden(read_manifest(tmp_path / "trained_32_fp32.onnx"))
    with torch.no_grad():
        for image, logits in zip(golden.inputs["image"], golden.outputs["logits"], strict=True):
            np.testing.assert_array_equal(original(torch.from_numpy(image)).numpy(), logits)


def test_an_exported_program_is_judged_as_it_is(own, tmp_path):
    original = given(own, "trained")
    x = torch.randn(1, 3, 32, 32)
    torch.export.save(torch.export.export(original, (x,)), tmp_path / "net.pt2")
    network = load_network(ModelSpec(str(tmp_path / "net.pt2")))
    with torch.no_grad():
        assert torch.equal(network.module(x), original(x))


def test_a_network_that_trains_in_part_is_refused(own):
    with pytest.raises(UsageError, match="norm is in training mode inside a network in evaluation mode"):
        load_network(ModelSpec(f"{own}:half_trained", input=InputSpec(size=32)))


def test_the_number_of_classes_is_passed_on_or_refused(own, tmp_path):
    network = load_network(ModelSpec(f"{own}:trained", num_classes=7, input=InputSpec(size=32)))
    assert network.module.classifier.out_features == 7
    with pytest.raises(UsageError, match="without_classes takes no num_classes; leave out --num-classes"):
        load_network(ModelSpec(f"{own}:without_classes", num_classes=7))
    torch.export.save(
        torch.export.export(given(own, "trained"), (torch.randn(1, 3, 32, 32),)), tmp_path / "n.pt2"
    )
    with pytest.raises(UsageError, match="leave out --num-classes"):
        load_network(ModelSpec(str(tmp_path / "n.pt2"), num_classes=7))


def test_networks_built_here_by_name_are_alive_and_said_to_be_random():
    network = load_network(ModelSpec("mocovit_0_5", input=InputSpec(size=32)))
    assert network.weights == "random, seed 0"
    assert not network.trained


def test_the_function_may_stand_in_any_folder(own):
    assert Path(own).is_absolute()
    assert load_network(ModelSpec(f"{own}:trained", input=InputSpec(size=32))).name == "trained"
