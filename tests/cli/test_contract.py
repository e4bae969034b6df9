"""mocovit-parity --contract, as a user meets it: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.cli import main as cli
from mocovit_deploy.cli.contract import run_contract
from mocovit_deploy.testing import assert_parity

TINY = '[model.net]\nmodel = "tiny_networks:tiny"\nimage_size = 32\n'
CONTRACT = """
[model.net]
model = "tiny_networks:tiny"
image_size = 32
data = "labelled.npz"

[[model.net.file]]
format = "onnx"
precision = "fp32"
max_error = 1e-5
max_accuracy_drop = 0.5

[[model.net.file]]
format = "coreml"
precision = "fp16"
max_error = 1e-2
max_operators = 100
max_transposes = 0

[[model.net.file]]
format = "tflite"
precision = "fp16"
max_error = 1e-5
max_transposes = 20
"""


def run(capfd, *words):
    status = cli.run_command("mocovit-parity", cli._parity, [str(word) for word in words])
    out, err = capfd.readouterr()
    return status, out, err


def contract(folder, text):
    path = folder / "parity.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("contract")
    generator = np.random.default_rng(0)
    np.savez(
        made / "labelled.npz",
        images=generator.integers(0, 256, (20, 32, 32, 3), np.uint8),
        labels=generator.integers(0, 10, 20),
    )
    return made


@pytest.fixture(autouse=True)
def stand_there(folder, monkeypatch):
    monkeypatch.chdir(folder)


@pytest.fixture
def exported(folder, stand_there):
    """The three files, in out/: made once."""
    status = run_contract(
        contract(folder, CONTRACT), Path("out"), None, fresh=False, as_json_report=False, verbose=False
    )
    assert status == 0


def test_one_command_exports_checks_and_reports(folder, capfd):
    path = contract(folder, CONTRACT)
    status, out, err = run(capfd, "--contract", path, "--output-dir", "out", "--report-dir", "reports")
    assert status == 0, err
    assert "7 of 7 bounds hold" in out
    assert "onnx fp32 exported (out/net/tiny_32_fp32.onnx): 2 pass, " in err
    assert "note: net tflite fp16: made for fp16 arithmetic, which was not run" in err
    assert not [line for line in err.splitlines() if "Warning" in line]
    document = json.loads(Path("reports/parity-contract.json").read_text())
    assert (document["verdict"], document["exit_status"]) == ("pass", 0)
    assert {file["how"] for file in document["files"]} == {"exported"}
    suites = ET.parse("reports/parity-contract.xml").getroot()  # noqa: S314 - our own document
    assert [len(suite.findall("testcase")) for suite in suites] == [2, 3, 2]
    assert Path("reports/parity-contract.md").read_text().startswith("### Parity contract: pass")

    status, out, err = run(capfd, "--contract", path, "--output-dir", "out", "--json")
    assert status == 0, err
    again = json.loads(out)
    assert {file["how"] for file in again["files"]} == {"found"}
    values = [[check["value"] for check in file["checks"]] for file in document["files"]]
    assert [[check["value"] for check in file["checks"]] for file in again["files"]] == values


@pytest.mark.usefixtures("exported")
def test_all_are_checked_before_the_first_miss_ends_the_command(folder, capfd):
    missed = CONTRACT.replace("max_error = 1e-5\nmax_transposes = 20", "max_error = 1e-9\nmax_transposes = 0")
    path = contract(folder, missed.replace("max_operators = 100", "max_operators = 1"))
    status, out, err = run(capfd, "--contract", path, "--output-dir", "out", "--report-dir", "missed")
    assert status == 4, "parity comes before size and speed"
    assert "4 of 7 bounds hold, 3 failed" in out
    assert "net coreml fp16: fail: max_operators is" in err
    assert "net tflite fp16: fail: max_transposes is" in err
    assert err.splitlines()[-1].startswith(
        f"mocovit-parity: error: {path}: 4 of 7 bounds hold, 3 failed; net tflite fp16: max_error is "
    )
    assert json.loads(Path("missed/parity-contract.json").read_text())["exit_status"] == 4
    assert Path("missed/parity-contract.md").read_text().count("**fail**") == 3


@pytest.mark.usefixtures("exported")
def test_a_changed_file_fails(folder, capfd):
    import onnx

    path = Path("out/net/tiny_32_fp32.onnx")
    before = path.read_bytes()
    model = onnx.load(path)
    weight = next(t for t in model.graph.initializer if t.name.endswith("classifier.weight"))
    weight.raw_data = bytes(len(weight.raw_data))
    onnx.save(model, path)
    status, _, err = run(capfd, "--contract", contract(folder, CONTRACT), "--output-dir", "out")
    path.write_bytes(before)
    assert status == 4
    assert "note: net onnx fp32: changed after its export" in err
    assert "net onnx fp32: fail: max_error is" in err


@pytest.mark.usefixtures("exported")
def test_in_a_test_suite_of_ones_own():
    path = Path("out/net/tiny_32_fp32.onnx")
    held = assert_parity(path, max_error=1e-5, max_operators=100)
    assert [check.word for check in held] == ["max_error", "max_operators"]
    assert_parity(read_manifest(path), max_accuracy_drop=0.5, data="labelled.npz", images=20)


NETWORKS = """
import torch
from torch import nn

class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

class Still(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)) * 1e-9 + torch.arange(3.0)

def branching():
    return Branching()

def still():
    return Still()
"""
FILE = '[[model.net.file]]\nformat = "onnx"\nprecision = "fp32"\nmax_error = 1e-5\n'
WRONG = {
    "no contract": (None, 2, "no such file"),
    "a word unknown": (TINY + FILE + "max = 1\n", 2, "unknown word 'max'"),
    "a network unknown": (TINY.replace("tiny_networks:tiny", "mocovit_10") + FILE, 2, "mean 'mocovit_1_0'"),
    "a checkpoint that is not there": (TINY + 'checkpoint = "no.pt"\n' + FILE, 2, "no.pt: no such file"),
    "a checkpoint of another network": (
        TINY + 'checkpoint = "other.pt"\n' + FILE,
        2,
        "does not fit",
    ),
    "an argument unknown": (TINY + "model_arg = { clases = 3 }\n" + FILE, 2, "unexpected keyword argument"),
    "a network that cannot be captured": (
        TINY.replace("tiny_networks:tiny", "networks_of_mine.py:branching") + FILE,
        3,
        "net onnx fp32: ",
    ),
    "a network that its export rejects": (
        TINY.replace("tiny_networks:tiny", "networks_of_mine.py:still") + FILE,
        4,
        "hardly depends on the input",
    ),
    "data that is not there": (
        TINY + 'data = "no.npz"\n' + FILE + "min_accuracy = 0.5\n",
        2,
        "no.npz: no such file",
    ),
    "data of another size": (
        TINY.replace("32", "16") + 'data = "labelled.npz"\n' + FILE + "min_accuracy = 0.5\n",
        2,
        "images are uint8 (20, 32, 32, 3), not uint8 (n, 16, 16, 3)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_one_line_with_their_status(case, folder, capfd):
    import torch

    text, status, message = WRONG[case]
    torch.save({"weight": torch.zeros(3)}, "other.pt")
    Path("networks_of_mine.py").write_text(NETWORKS)
    path = Path("no.toml") if text is None else contract(folder, text)
    found, _, err = run(capfd, "--contract", path, "--output-dir", "wrong")
    assert found == status, err
    last = err.splitlines()[-1]
    assert last.startswith("mocovit-parity: error: ")
    assert message in last
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a FILE, or --contract"),
        (["a.onnx", "--contract", "parity.toml"], "a.onnx does not go with --contract"),
        (["--contract", "parity.toml", "--target", "host"], "--target does not go with --contract"),
        (["a.onnx", "--report-dir", "x"], "--report-dir goes with --contract"),
        (["a.onnx", "--output-dir", "x"], "--output-dir goes with --contract"),
        (["a.onnx", "--fresh"], "--fresh goes with --contract"),
    ],
)
def test_words_that_do_not_go_together(words, message, capfd):
    status, _, err = run(capfd, *words)
    assert (status, message in err) == (2, True), err


def test_a_report_folder_that_cannot_be_written_is_said_before_any_work(folder, capfd):
    (folder / "file").write_text("x")
    path = contract(folder, CONTRACT)
    status, _, err = run(capfd, "--contract", path, "--report-dir", "file", "--output-dir", "never")
    assert status == 2
    assert "choose another --report-dir" in err
    assert not Path("never").exists()


def test_a_first_contract_holds_for_its_files_and_fails_for_others(folder, exported, capfd):
    files = sorted((folder / "out" / "net").glob("tiny_32_*.*"))
    files = [path for path in files if path.suffix in (".onnx", ".tflite", ".mlpackage")]
    assert len(files) == 3
    path = folder / "first.toml"
    status, out, _ = run(capfd, *files, "--init", "--contract", path)
    assert status == 0
    assert f"{path}: written; check it with: mocovit-parity --contract {path}" in out
    status, out, err = run(capfd, "--contract", path, "--output-dir", "out/net")
    assert status == 0, err
    assert "bounds hold" in out
    assert err.count(" found (out/net/") == 3
    text = path.read_text()
    bounds = [line for line in text.splitlines() if line.startswith(("max_", "min_"))]
    assert len(bounds) > 15
    assert f"{len(bounds)} of {len(bounds)} bounds hold" in out
    path.write_text(text.replace("max_operators = ", "max_operators = 1 # "))
    assert run(capfd, "--contract", path, "--output-dir", "out/net")[0] == 6
    assert run(capfd, *files, "--init", "--contract", path)[0] == 2


def test_labels_go_beside_a_first_contract(folder, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    names = [f"Kühlschrank {number}" for number in range(10)]
    Path("own names.txt").write_text("\r\n".join(names), encoding="utf-8-sig")
    export_words = ("--model", "tiny_networks:tiny", "--image-size", "32", "--format", "onnx")
    export_words += ("--output-dir", "my build", "--labels", "own names.txt")
    made = cli.run_command("mocovit-export", cli._export, list(export_words))
    file = Path("my build", "tiny_32_fp32.onnx")
    assert made == 0
    capfd.readouterr()
    status, out, err = run(capfd, file, "--init")
    assert status == 0, err
    assert "labels.txt: written, the labels of its files\nparity.toml: written" in out
    assert out.endswith("mocovit-parity --contract parity.toml --output-dir 'my build'\n")
    assert Path("labels.txt").read_text(encoding="utf-8").splitlines() == names
    assert 'labels = "labels.txt"' in Path("parity.toml").read_text()
    status, out, err = run(capfd, "--contract", "parity.toml", "--output-dir", "my build")
    assert (status, err.count(" found (my build/")) == (0, 1), err

    status, out, _ = run(capfd, file, "--init", "--contract", "second.toml")
    assert (status, "labels.txt" in out) == (0, False)  # it lists these classes already

    Path("labels.txt").write_text("of another network\n")
    status, out, err = run(capfd, file, "--init", "--contract", "third.toml")
    assert status == 0, err
    assert Path("labels.txt").read_text() == "of another network\n"
    assert 'labels = "tiny.labels.txt"' in Path("third.toml").read_text()
    assert run(capfd, "--contract", "third.toml", "--output-dir", "my build")[0] == 0
