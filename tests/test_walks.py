"""The walks of the documentation, typed as they stand, with two classes of made-up photographs."""

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from documents import blocks, commands
from kotlin_compiler import compile_kotlin, missing_for_kotlin
from mediapipe_tasks import classified, mediapipe_python
from PIL import Image

from mocovit_deploy.contract.read import read_contract
from mocovit_deploy.spec import Preprocessing

PHOTOGRAPHS = {"photographs": 920, "held_out": 20}
"""As many as `auto` needs to show a drop of half a point, and those it calibrates with."""

REFERENCE = ("counting.md", "delegates.md", "layers.md", "measuring.md", "precision.md", "tasks.md")
"""Pages with commands; those of phones are typed where there is a phone (benchmarks/targets/adb)."""


@pytest.fixture
def desk(tmp_path):
    """A folder with what the walks say that you have."""
    folder = tmp_path
    (folder / "net.py").write_text(blocks("your-app.md", "python")[0])
    names = {}
    exec((folder / "net.py").read_text(), names)  # noqa: S102 - the document's own words
    torch.manual_seed(0)
    network = _told_apart(names["classifier"]())
    torch.save(network.state_dict(), folder / "weights.pt")
    (folder / "labels.txt").write_text("cat\ndog\n")
    generator = np.random.default_rng(0)
    for place, count in PHOTOGRAPHS.items():
        for number in range(count):
            kind = ("cat", "dog")[number % 2]
            (folder / place / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(_pixels(generator, number)).save(folder / place / kind / f"{number}.jpg")
    return folder


def _told_apart(network):
    """The network with a last layer that calls bright photographs cats and dark ones dogs."""
    generator = np.random.default_rng(1)
    pixels = np.stack([_pixels(generator, number) for number in range(20)])
    how = Preprocessing()
    images = (pixels * how.scale - np.array(how.mean)) / np.array(how.std)
    with torch.no_grad():
        found = network.eval()[:-1](torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)))
        cats, dogs = found[::2].mean(0), found[1::2].mean(0)
        apart = 10 * (cats - dogs) / (cats - dogs).square().sum()
        network[-1].weight.copy_(torch.stack([apart, -apart]))
        network[-1].bias.copy_(torch.tensor([-1.0, 1.0]) * (apart @ (cats + dogs) / 2))
    return network


def _pixels(generator, number):
    """A photograph of number's kind: noise, bright for even ones and dark for odd ones."""
    return generator.integers(0, 255, (48, 64, 3), dtype=np.uint8) // (1 + number % 2)


def _type(command, folder):
    program, *words = command
    found = [str(path) for word in words for path in (sorted(folder.glob(word)) if "*" in word else [word])]
    command = [str(Path(sys.executable).with_name(program)), *found]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, env=environment)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", ["your-app.md", "guard.md"])
def test_a_walk_can_be_walked(page, desk):
    for command in commands(page):
        done = _type(command, desk)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    if page == "your-app.md":
        _require_apps(desk)


@pytest.fixture
def small_files(desk):
    """The files that pages of the reference name, of a network that is small, and two reports."""
    small = (
        "--model mocovit_0_5 --num-classes 10 --image-size 64 --format tflite,coreml --precision fp32,fp16"
    )
    done = _type(["mocovit-export", *small.split(), "--output-dir", "made"], desk)
    assert done.returncode == 0, done.stderr
    (desk / "build").mkdir()
    for named, made in (
        ("build/mocovit_1_0_224_fp32.tflite", "fp32.tflite"),
        ("build/mocovit_1_0_224_fp16.mlpackage", "fp16.mlpackage"),
        ("net.tflite", "fp16.tflite"),
    ):
        for part in (desk / "made").glob(f"mocovit_0_5_64_{made}*"):
            to = desk / f"{named}{part.name.partition(made)[2]}"
            (shutil.copytree if part.is_dir() else shutil.copy)(part, to)
    done = _type(["mocovit-bench", "run", "net.tflite", "--target", "emulated", "--output", "old.json"], desk)
    assert done.returncode == 0, done.stderr
    shutil.copy(desk / "old.json", desk / "new.json")
    return desk


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [*REFERENCE, "choose.md"])
def test_commands_of_the_reference_do_what_they_say(page, small_files):
    """As they stand, but that networks of 224 pixels are exported at 64."""
    for command in commands(page):
        large = command[0] == "mocovit-export" and not any("net.py" in word for word in command)
        done = _type([*command, "--image-size", "64"] if large else command, small_files)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def _require_apps(folder):
    """MediaPipe and the Python beside each file name every photograph rightly; the Kotlin compiles."""
    files = sorted(folder.glob("build/*.tflite"))  # what `auto` chose among them
    assert {"classifier_224_fp16.tflite", "classifier_224_fp32.tflite"} <= {file.name for file in files}
    photographs = sorted(folder.glob("held_out/*/*.jpg"))
    images = [np.asarray(Image.open(path).convert("RGB")) for path in photographs]
    python = mediapipe_python()
    for file in files:
        module = runpy.run_path(f"{file}.py")
        ours = [module["classify"](Image.open(path))[0][0] for path in photographs]
        theirs = [one[0][0] for one in classified(python, file, images, folder)]
        assert theirs == ours == [path.parent.name for path in photographs], file
    if not missing_for_kotlin():
        kotlin = [file.with_name(f"{file.name}.kt") for file in files]
        assert "warning: " not in compile_kotlin(kotlin, folder / "classes")
        assert len(list((folder / "classes").glob("Classifier224*[a-z0-9].class"))) >= len(files)


def test_the_contract_of_the_walk_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pt").touch()
    (shown,) = blocks("guard.md", "toml")
    (tmp_path / "parity.toml").write_text(shown)
    (model,) = read_contract(tmp_path / "parity.toml").models
    assert [(file.format, file.precision) for file in model.files] == [("tflite", "fp32"), ("tflite", "fp16")]


def test_the_walks_have_commands():
    assert len(commands("your-app.md")) >= 5
    assert len(commands("guard.md")) >= 3
    assert all(commands(page) for page in REFERENCE)
