"""The walks of the documentation, typed as they stand, with two classes of made-up photographs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mocovit_deploy.contract.read import read_contract

DOCS = Path(__file__).parents[1] / "docs"
PHOTOGRAPHS = {"photographs": 920, "held_out": 20}
"""As many as `auto` needs to show a drop of half a point, and those it calibrates with."""


@pytest.fixture
def desk(tmp_path):
    """A folder with what the walks say that you have."""
    folder = tmp_path
    (folder / "net.py").write_text(_blocks("your-app.md", "python")[0])
    names = {}
    exec((folder / "net.py").read_text(), names)  # noqa: S102 - the document's own words
    torch.manual_seed(0)
    network = names["classifier"]()
    torch.save(network.state_dict(), folder / "weights.pt")
    (folder / "labels.txt").write_text("cat\ndog\n")
    generator = np.random.default_rng(0)
    for place, count in PHOTOGRAPHS.items():
        for number in range(count):
            kind = ("cat", "dog")[number % 2]
            (folder / place / kind).mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 255, (48, 64, 3), dtype=np.uint8) // (1 + number % 2)
            Image.fromarray(pixels).save(folder / place / kind / f"{number}.jpg")
    return folder


def _blocks(page, language=""):
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    return [text for kind, text in fences if kind == language]


def _type(command, folder):
    program, *words = shlex.split(command)
    found = [str(path) for word in words for path in (sorted(folder.glob(word)) if "*" in word else [word])]
    command = [str(Path(sys.executable).with_name(program)), *found]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, env=environment)


def _commands(page):
    lines = [line for block in _blocks(page) for line in block.splitlines()]
    return [line.partition("#")[0].strip() for line in lines if line.startswith("mocovit-")]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", ["your-app.md", "guard.md"])
def test_a_walk_can_be_walked(page, desk):
    for command in _commands(page):
        done = _type(command, desk)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr


def test_the_contract_of_the_walk_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pt").touch()
    (shown,) = _blocks("guard.md", "toml")
    (tmp_path / "parity.toml").write_text(shown)
    (model,) = read_contract(tmp_path / "parity.toml").models
    assert [(file.format, file.precision) for file in model.files] == [("tflite", "fp32"), ("tflite", "fp16")]


def test_the_walks_have_commands():
    assert len(_commands("your-app.md")) >= 5
    assert len(_commands("guard.md")) >= 3
