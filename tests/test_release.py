"""What is published: the sdist and the wheel in empty environments, the workflow, the image."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import installed
import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("mocovit_deploy", "exporters", "benchmarks")
PYTHONS = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """What git would give to a build, without what lies beside it here."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in (*PACKAGES, "tests/benchmarks/models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def sdist(source):
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", code, str(source / "dist")],
        cwd=source,
        check=True,
        timeout=120,
        capture_output=True,
    )
    (found,) = (source / "dist").glob("*.tar.gz")
    return found


def test_the_sdist_holds_every_file_of_the_packages(sdist, source):
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    files = (path for name in PACKAGES for path in (source / name).rglob("*") if path.is_file())
    assert [
        str(path.relative_to(source)) for path in files if str(path.relative_to(source)) not in inside
    ] == []
    assert {"LICENSE", "README.md", "pyproject.toml"} <= inside


def test_what_is_said_of_it_is_true():
    said = PROJECT["classifiers"]
    limits = (ROOT / "docs" / "limits.md").read_text()
    assert "**A Mac.**" in limits
    assert not any("MacOS" in line or "OS Independent" in line for line in said)
    assert PYTHONS == ["3.11", "3.12", "3.13"]
    assert f">={PYTHONS[0]}" == PROJECT["requires-python"]
    for name in ("ci", "release"):
        text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
        assert f"python-version: {PYTHONS}".replace("'", '"') in text


def test_the_workflow_publishes_what_it_tried_and_keeps_no_token():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["publish"]["needs"] == "try"
    assert jobs["try"]["needs"] == "build"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert not [name for name, job in jobs.items() if "permissions" in job and name != "publish"]
    assert "secrets." not in text
    typed = [step["run"] for step in jobs["try"]["steps"] if "run" in step]
    assert len(typed) == 3
    assert all(line.startswith("python tests/helpers/installed.py dist/*") for line in typed)


def test_the_image_is_built_of_what_the_repository_has():
    text = (ROOT / "Dockerfile").read_text()
    assert "RUN make setup" in text
    assert re.search(r"^setup:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert ".venv" in (ROOT / ".dockerignore").read_text().splitlines()


def test_a_command_that_ends_otherwise_is_found(tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in installed.COMMANDS:
        (programs / name).write_text(f'#!/bin/sh\necho "{name} 1.0"\n[ "$1" = --help ] && exit 3\nexit 0\n')
        (programs / name).chmod(0o755)
    with pytest.raises(installed.NotAsPromisedError, match="--help ended with 3, not 0"):
        installed.tried(programs, tmp_path, ())
    for name in installed.COMMANDS:
        (programs / name).write_text('#!/bin/sh\necho "something else"\n')
    with pytest.raises(installed.NotAsPromisedError, match="--version printed 'something else"):
        installed.tried(programs, tmp_path, ())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("version", PYTHONS)
def test_the_sdist_runs_in_an_empty_environment(version, sdist):
    """An sdist is built into a wheel on the way, so that both are tried."""
    python = _python(version)
    if python is None:
        pytest.skip(f"no python{version} is installed")
    helper = str(ROOT / "tests" / "helpers" / "installed.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, helper, str(sdist)], capture_output=True, text=True, timeout=800, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"Python {version}.") == len(installed.COMMANDS)
    assert "torch is not installed" in done.stdout
    assert "onnxruntime is not installed" in done.stdout


def _python(version):
    """On the path, or where pyenv keeps it."""
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return shutil.which(f"python{version}") or next((str(path) for path in kept), None)
