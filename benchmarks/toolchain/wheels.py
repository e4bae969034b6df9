"""Downloading wheels from the user's package index with pip, checked against the digests of the lock file."""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.toolchain.cache import building
from benchmarks.toolchain.lock import Compiler, Wheel
from mocovit_deploy.errors import DeployError, MissingToolError, TransientDeviceError
from mocovit_deploy.untrusted.process import run_process


def extract_library(wheel: Wheel, into: Path, *, deadline_s: float) -> None:
    """Download `wheel`, which is for another machine, and put its library into the folder `into`.

    Its licences go to `into/licenses`. Raises `MissingToolError` without pip, `TransientDeviceError` if the
    index cannot be reached or its file has another digest, `DeployError` if the wheel lacks the library.
    """
    with tempfile.TemporaryDirectory(prefix="mocovit-wheel-") as name:
        folder = Path(name)
        foreign = ["--python-version", "311", "--implementation", "cp", "--platform", wheel.platform]
        _pip(
            ["download", *foreign, "--dest", str(folder)],
            wheel.package,
            wheel.version,
            [wheel.sha256],
            deadline_s,
        )
        (path,) = folder.glob("*.whl")
        with zipfile.ZipFile(path) as archive:
            _copy_member(archive, wheel.member, into / wheel.library)
            for member in archive.namelist():
                base = member.rpartition("/")[2]
                if base.upper().startswith(("LICENSE", "THIRDPARTYNOTICES", "NOTICE")):
                    _copy_member(archive, member, into / "licenses" / f"{wheel.package}-{base}")


def install_tool(tool: Compiler, into: Path, *, deadline_s: float) -> Path:
    """Install the package of a program into the folder `into`, unless it exists, and return the folder.

    The environment of this Python is not changed. Raises like `extract_library`.
    """
    if not into.is_dir():
        with building(into) as folder:
            _pip(["install", "--target", str(folder)], tool.package, tool.version, tool.sha256, deadline_s)
    return into


def _pip(words: Sequence[str], package: str, version: str, digests: Sequence[str], deadline_s: float) -> None:
    with tempfile.NamedTemporaryFile("w", prefix="mocovit-", suffix=".txt", encoding="utf-8") as requirements:
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in digests)
        requirements.write(f"{package}=={version} {hashes}\n")
        requirements.flush()
        command, *options = words
        done = run_process(
            [
                sys.executable,
                "-m",
                "pip",
                command,
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--require-hashes",
                "--requirement",
                requirements.name,
                *options,
            ],
            deadline_s=deadline_s,
            environment={"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
        )
    if done.ok:
        return
    if "No module named pip" in done.stderr:
        raise MissingToolError(f"this Python has no pip; run: {sys.executable} -m ensurepip")
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
    raise TransientDeviceError(
        f"{package} {version} cannot be fetched: {said[0] if said else done.reason()}; "
        "check the network and the package index, then try again"
    )


def _copy_member(archive: zipfile.ZipFile, member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source = archive.open(member)
    except KeyError:
        raise DeployError(f"the wheel {archive.filename} has no {member}; the lock file is wrong") from None
    with source, target.open("wb") as out:
        shutil.copyfileobj(source, out)
