"""Phones to measure on: the real adbd in namespaces, and the small one; both through the real adb client.

Tests get them one by one, cool and clean, and fail if they leave a process or a file on them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from phone.desk import TINY, Desk, Outcome, cannot, on_the_desk
from phone.pieces import Pieces, find_or_fetch
from phone.server import Server, adb_server
from phone.small import small_phone
from phone.virtual import Phone, virtual_phone, why_not

from benchmarks.cli.main import main
from benchmarks.toolchain import bundle as bundles
from benchmarks.toolchain.cache import cache_root
from mocovit_deploy.errors import DeployError
from mocovit_deploy.files import digest


@pytest.fixture(scope="session")
def pieces() -> Pieces:
    try:
        return find_or_fetch()
    except DeployError as error:
        cannot(f"no virtual phone: {error}")
        raise


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The real bundle."""
    path = bundles.bundle_folder("litert")
    if not path.is_dir():
        cannot("no bundle of litert in the cache folder; run: mocovit-bench bundle")
    return path


@pytest.fixture(scope="session", params=["namespaces", "small"])
def any_phone(
    request: pytest.FixtureRequest, pieces: Pieces, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Phone]:
    if request.param == "namespaces" and (why := why_not()):
        cannot(f"no virtual phone: {why}")
    start = virtual_phone if request.param == "namespaces" else small_phone
    with start(tmp_path_factory.mktemp("phone"), pieces) as phone:
        yield phone


@pytest.fixture(scope="session")
def real_phone(pieces: Pieces, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """One of the real adbd, or of the small one where there are no namespaces."""
    start = small_phone if why_not() else virtual_phone
    with start(tmp_path_factory.mktemp("phone"), pieces) as phone:
        yield phone


@pytest.fixture
def server(
    pieces: Pieces, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """An adb server that knows no phone, and the environment that leads to it."""
    tmp_path_factory.getbasetemp()  # made now, or it would land in the folder below
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_root().parent))
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    with tempfile.TemporaryDirectory(prefix="adb-") as name, adb_server(pieces.adb, Path(name)) as made:
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        for variable, value in made.environment.items():
            monkeypatch.setenv(variable, value)
        yield made


@pytest.fixture
def call(server: Server, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`mocovit-bench` in this process."""

    def run(*words: str | Path) -> Outcome:
        capsys.readouterr()
        status = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


@pytest.fixture
def desk(any_phone: Phone, server: Server, call: Callable[..., Outcome]) -> Iterator[Desk]:
    """A phone that is connected, of either kind."""
    yield from on_the_desk(any_phone, server, call)


@pytest.fixture
def real_desk(real_phone: Phone, server: Server, call: Callable[..., Outcome]) -> Iterator[Desk]:
    """The same, of one kind only: for what does not depend on the daemon."""
    yield from on_the_desk(real_phone, server, call)


@pytest.fixture
def small_desk(
    pieces: Pieces, server: Server, call: Callable[..., Outcome], tmp_path: Path
) -> Iterator[Desk]:
    """One of the small daemon, which starts fast."""
    folder = tmp_path / "phone"
    folder.mkdir()
    with small_phone(folder, pieces) as phone:
        yield from on_the_desk(phone, server, call)


@pytest.fixture
def fake_bundle(tmp_path: Path) -> Callable[[str], Path]:
    """A bundle whose loader is a script of ours: a bench that does whatever a test needs."""

    def make(script: str) -> Path:
        folder = tmp_path / "bundle"
        folder.mkdir()
        for name in (bundles.BENCH, bundles.CLOCK, "libLiteRt.so"):
            (folder / name).write_bytes(name.encode())
        (folder / bundles.LOADER).write_text(f"#!/bin/sh\n{script}\n")
        for path in folder.iterdir():
            path.chmod(0o755)
        files = {path.name: digest(path) for path in folder.iterdir()}
        record = {
            "schema_version": 1,
            "runtime": "litert",
            "version": "0",
            "library": "libLiteRt.so",
            "files": files,
        }
        (folder / "bundle.json").write_text(json.dumps(record))
        return folder

    return make


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits that a phone on the same machine keeps."""
    monkeypatch.setattr("benchmarks.targets.adb.remote._GRACE_S", 1.0)
    monkeypatch.setattr("benchmarks.targets.adb.measuring._PAUSE_S", 0.1)
    monkeypatch.setattr("benchmarks.targets.adb.keeper._END_S", 3.0)


@pytest.fixture
def model_copy(tmp_path: Path) -> Callable[[str], Path]:
    """The small model under another name, with all that belongs to it."""

    def copy(name: str) -> Path:
        folder = tmp_path / "models"
        folder.mkdir(exist_ok=True)
        for suffix in ("", ".json", ".golden.npz"):
            shutil.copy(f"{TINY}{suffix}", folder / f"{name}{suffix}")
        return folder / name

    return copy
