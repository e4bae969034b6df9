"""One module and one word: a toy format and a toy target in a copy of the tree, asked by the commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from registries import add_word

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "tests" / "benchmarks" / "models"

GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
TOYS = ("exporters/toy.py", "benchmarks/targets/toy.py")
"""What the guide shows of a format and of a target."""

NETWORK = """
from torch import nn


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * 8 * 8, 4)

    def forward(self, image):
        return self.layer(image.flatten(1))
"""

CONTRACT = """
[model.linear]
model = "linear.py:Linear"
image_size = 8

[[model.linear.file]]
format = "toy"
precision = "fp32"
max_error = 1e-5
max_operators = 1
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugged")
    for name in ("mocovit_deploy", "exporters", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shown = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", GUIDE, re.DOTALL))
    for toy in TOYS:
        (folder / toy).write_text(shown[toy])
    add_word(folder / "mocovit_deploy" / "choices.py", "FORMATS", "toy")
    add_word(folder / "mocovit_deploy" / "choices.py", "TARGETS", "toy")
    (folder / "linear.py").write_text(NETWORK)
    (folder / "parity.toml").write_text(CONTRACT)
    return folder


def run(checkout: Path, main: str, *words: str) -> subprocess.CompletedProcess[str]:
    module, _, function = main.partition(":")
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


EXPORT, PARITY = "mocovit_deploy.cli.main:export_main", "mocovit_deploy.cli.main:parity_main"
BENCH = "benchmarks.cli.main:main"


def test_a_format_takes_a_module_and_a_word_and_its_tolerance_a_row(checkout: Path) -> None:
    words = ("--model", "linear.py:Linear", "--image-size", "8", "--format", "toy", "--output-dir", "out")
    untabled = run(checkout, EXPORT, *words)
    assert untabled.returncode == 4, "a format without a measured tolerance has no verdict"
    assert "no tolerance for toy fp32 computed in fp32" in untabled.stderr

    table = checkout / "mocovit_deploy" / "parity" / "tolerance.py"
    row = '    ("toy", "fp32", "fp32"): Tolerance(max_error=1e-5, measured=4e-7),\n'
    table.write_text(
        table.read_text().replace("    # (format, recipe, arithmetic)\n", f"    # rows\n{row}", 1)
    )
    done = run(checkout, EXPORT, *words)
    assert done.returncode == 0, done.stderr
    assert run(checkout, EXPORT, *words, "--layout", "nchw").returncode == 2

    path = checkout / "out" / "Linear_8_fp32.toy"
    again = run(checkout, PARITY, str(path))
    assert again.returncode == 0, again.stderr
    assert "pass" in again.stdout

    kept = run(checkout, PARITY, "--contract", "parity.toml", "--output-dir", "out", "--json")
    assert kept.returncode == 0, kept.stderr
    assert json.loads(kept.stdout)["verdict"] == "pass"

    document = json.loads(path.read_text())
    document["bias"] = [value + 1 for value in document["bias"]]
    path.write_text(json.dumps(document))
    spoilt = run(checkout, PARITY, str(path))
    assert spoilt.returncode == 4, "a planted defect fails"


def test_a_target_takes_a_module_and_a_word(checkout: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    path = str(MODELS / "tiny.onnx")
    judged = run(checkout, PARITY, path, "--target", "toy")
    assert judged.returncode == 0, judged.stderr
    assert "on toy" in judged.stdout

    measured = run(checkout, BENCH, "run", path, "--target", "toy", "--json")
    assert measured.returncode == 0, measured.stderr
    (report,) = json.loads(measured.stdout)["reports"]
    assert report["target"] == "toy"
    assert report["verified"].startswith("pass")

    compared = run(checkout, BENCH, "ab", path, path, "--target", "toy", "--rounds", "2", "--json")
    assert compared.returncode == 0, compared.stderr
    wrong = run(checkout, BENCH, "run", path, "--target", "to")
    assert wrong.returncode == 2
    assert "did you mean 'toy'" in wrong.stderr


@pytest.mark.slow
def test_the_toys_are_formats_and_targets_to_mypy(checkout: Path) -> None:
    """They satisfy the protocols, with types, as strictly as the rest of the tree."""
    shutil.copy(ROOT / "pyproject.toml", checkout)
    code = "from {0} import toy\nfrom {1} import {2}\nmodule: {2} = toy\n"
    (checkout / "held.py").write_text(
        code.format("exporters", "mocovit_deploy.formats", "Format")
        + code.format("benchmarks.targets", "benchmarks.targets.context", "MeasuringTarget")
        .replace("module:", "other:")
        .replace("import toy", "import toy as toy_target")
        .replace("= toy", "= toy_target")
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--follow-imports=silent",
            "--no-incremental",
            "held.py",
            *TOYS,
        ],
        cwd=checkout,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout


def test_no_package_imports_anything_heavy() -> None:
    """Importing a package, which importing any of its modules does, costs nothing that it may not need."""
    heavy = (
        "torch",
        "onnx",
        "onnxruntime",
        "coremltools",
        "litert_torch",
        "ai_edge_litert",
        "flatbuffers",
        "timm",
        "jax",
        "PIL",
        "matplotlib",
    )
    packages = [
        ".".join(path.parent.relative_to(ROOT).parts)
        for top in ("mocovit_deploy", "exporters", "benchmarks")
        for path in sorted((ROOT / top).rglob("__init__.py"))
    ]
    code = (
        "import importlib, sys\n"
        f"heavy = {heavy!r}\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    found = [one for one in heavy if one in sys.modules]\n"
        "    if found: sys.exit(f'importing {name} imports {found}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *packages], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(packages) > 20
