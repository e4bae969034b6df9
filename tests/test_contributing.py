"""CONTRIBUTING.md, walked through for real: its files in a copy of the tree, and one word each."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from registries import add_word

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", GUIDE, re.DOTALL))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the tree with every file that the guide shows."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("mocovit_deploy", "exporters", "benchmarks", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, folder)
    for path, text in BLOCKS.items():
        (folder / path).write_text(text)
    return folder


def run(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    paths = [checkout, checkout / "tests" / "helpers", checkout / "tests" / "fuzz"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=checkout, env=environment, capture_output=True, text=True, timeout=240
    )


def test_a_pass(checkout):
    add_word(checkout / "mocovit_deploy/passes/__init__.py", "PASSES", "drop_repeated_relu")
    contract = checkout / "tests/passes/test_passes_contract.py"
    layers = "Lambda(lambda s, x: s.b(s.a(x)), a=nn.ReLU(), b=nn.ReLU())"
    example = f"{{'drop_repeated_relu': lambda: {layers}}}"
    contract.write_text(contract.read_text().replace("OWN_EXAMPLE = {", f"OWN_EXAMPLE = {example} | {{", 1))
    tests = ("tests/passes/test_drop_repeated_relu.py", "tests/passes/test_passes_contract.py")
    done = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, "-k", "relu")
    assert done.returncode == 0, done.stdout
    assert re.search(r"(\d+) passed", done.stdout)
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 5


def test_a_source_of_networks(checkout):
    add_word(checkout / "mocovit_deploy/models/__init__.py", "SOURCES", "plain", before="user")
    main = "import sys; from mocovit_deploy.cli.main import export_main; sys.exit(export_main())"
    done = run(
        checkout,
        "-c",
        main,
        "--model",
        "plain_8",
        "--format",
        "onnx",
        "--num-classes",
        "4",
        "--output-dir",
        "o",
    )
    assert done.returncode == 0, done.stderr
    assert "plain_8_32_fp32.onnx" in done.stdout
    assert (checkout / "o" / "plain_8_32_fp32.onnx").exists()


def test_the_guide_links_and_types_what_there_is():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", GUIDE):
        assert (ROOT / target).exists(), target
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z-]+)", GUIDE)) <= made
