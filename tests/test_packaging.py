import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "mocovit_deploy", "exporters", "benchmarks"):
        (source / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "-w", str(folder), str(source)], check=True, timeout=120)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_three_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "mocovit_deploy",
        "exporters",
        "benchmarks",
    }


@pytest.fixture(scope="module")
def bare_environment(wheel, tmp_path_factory):
    """A virtual environment with this wheel and numpy, and nothing else: what the core asks for."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    packages = next((folder / "lib").glob("python*")) / "site-packages"
    home = Path(np.__file__).parent.parent
    for name in ("numpy", "numpy.libs"):
        if (home / name).exists():
            (packages / name).symlink_to(home / name)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "bin" / "python"


MAINS = {
    "export": "mocovit_deploy.cli.main:export_main",
    "parity": "mocovit_deploy.cli.main:parity_main",
    "bench": "benchmarks.cli.main:main",
}


def run(python, program, *words):
    module, _, main = MAINS[program].partition(":")
    code = f"import sys; from {module} import {main}; sys.exit({main}())"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(python), "-c", code, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd="/",
    )


@pytest.mark.parametrize("program", MAINS)
def test_help_and_version_need_no_extra(bare_environment, program):
    for word in ("--help", "--version"):
        done = run(bare_environment, program, word)
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_exporting_without_torch_names_the_extra(bare_environment, tmp_path):
    done = run(bare_environment, "export", "--output-dir", str(tmp_path))
    assert done.returncode == 8
    assert done.stderr.startswith("mocovit-export: error: torch is not installed; ")
    assert done.stderr.endswith("run: pip install '.[export]'\n")


def test_parity_without_the_runtime_names_it(bare_environment, tmp_path):
    from mocovit_deploy.exporting.pipeline import export_model
    from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec
    from mocovit_deploy.terminal.progress import Stages

    model = ModelSpec("tiny_networks:tiny", input=InputSpec(size=32))
    done = export_model(ExportRequest(model, ("onnx",), output_dir=tmp_path), Stages())
    checked = run(bare_environment, "parity", str(done.outcomes[0].artifact.path))
    assert checked.returncode == 8
    assert "onnxruntime is not installed" in checked.stderr
    assert "not run" in checked.stdout


def test_parity_needs_the_runtime_alone(bare_environment):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    home = Path(np.__file__).parent.parent
    packages = next((bare_environment.parents[1] / "lib").glob("python*")) / "site-packages"
    names = ["onnxruntime", "flatbuffers", "google", *[path.name for path in home.glob("onnxruntime-*")]]
    for name in names:
        (packages / name).symlink_to(home / name)
    try:
        done = run(bare_environment, "parity", str(ROOT / "tests/benchmarks/models/tiny.onnx"))
    finally:
        for name in names:
            (packages / name).unlink()
    assert done.returncode == 0, done.stderr
    assert "pass" in done.stdout


def test_the_doctor_needs_no_extra(bare_environment, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in ("ADB", "ANDROID_HOME", "ANDROID_SDK_ROOT"):
        monkeypatch.delenv(name, raising=False)
    done = run(bare_environment, "bench", "doctor", "--deadline-s", "20")
    assert done.returncode == 8, done.stderr
    assert "adb" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_module_of_the_core_imports_without_extras(bare_environment):
    modules = [
        "mocovit_deploy",
        "mocovit_deploy.artifacts.artifact",
        "mocovit_deploy.cli.main",
        "mocovit_deploy.accuracy.answers",
        "mocovit_deploy.accuracy.labelled",
        "mocovit_deploy.cli.export",
        "mocovit_deploy.cli.contract",
        "mocovit_deploy.testing",
        "mocovit_deploy.errors",
        "mocovit_deploy.parity.compare",
        "mocovit_deploy.parity.samples",
        "mocovit_deploy.parity.tolerance",
        "mocovit_deploy.parity.verdict",
        "mocovit_deploy.artifacts.provenance",
        "mocovit_deploy.spec",
        "mocovit_deploy.exporting.staging",
        "exporters",
        "exporters.onnx",
        "exporters.tflite",
        "benchmarks",
    ]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run(
        [str(bare_environment), "-c", code, *modules], capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stderr
