"""examples/contract and docs/contract.md: run, read, and true to the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mocovit_deploy.contract.bounds import METRICS
from mocovit_deploy.contract.model_table import MODEL_WORDS
from mocovit_deploy.contract.read import FILE_WORDS, read_contract
from mocovit_deploy.testing import assert_parity

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "contract"
DOCUMENT = (ROOT / "docs" / "contract.md").read_text()


WITHOUT_TORCH = """
import sys
import pytest

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NoTorch())
sys.exit(pytest.main(sys.argv[1:]))
"""


def block(language):
    return re.search(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)[1]


def test_the_contract_in_the_document_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "parity.toml").write_text(block("toml"))
    (model,) = read_contract(tmp_path / "parity.toml").models
    assert [file.title for file in model.files] == ["onnx fp32", "tflite fp16 on emulated"]


def test_the_document_names_every_word_and_every_status():
    for word in (*MODEL_WORDS, *FILE_WORDS, *(metric.word for metric in METRICS)):
        assert f"`{word}`" in DOCUMENT, word
    for metric in METRICS:
        (row,) = [
            line for line in DOCUMENT.splitlines() if line.startswith("|") and f"`{metric.word}`" in line
        ]
        assert row.endswith(f"| {metric.fails.exit_status} |"), metric.word
    assert all(f"`{metric.word}`" in assert_parity.__doc__ for metric in METRICS)


def test_the_workflow_in_the_document_is_the_example():
    assert block("yaml").strip() == (EXAMPLE / "parity.yml").read_text().strip()


def test_the_example_suite_passes_without_torch(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    from examples.digits.train import CHECKPOINT
    from mocovit_deploy.exporting.pipeline import export_model
    from mocovit_deploy.spec import ExportRequest, ModelSpec, OwnInput
    from mocovit_deploy.terminal.progress import Stages

    spec = ModelSpec("mocovit_0_5", checkpoint=CHECKPOINT, num_classes=10, input=OwnInput(size=96))
    export_model(ExportRequest(spec, ("onnx",), output_dir=tmp_path), Stages())
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, "-q", "-p", "no:cacheprovider", "--rootdir", ROOT, EXAMPLE],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=ROOT,
        env={**os.environ, "SHIPPED": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
