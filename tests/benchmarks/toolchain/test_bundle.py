"""Bundles: built whole or not at all, verified before every use."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.toolchain import bundle as bundles
from benchmarks.toolchain.bundle import CLOCK, LOADER, find_or_build_bundle, open_bundle
from benchmarks.toolchain.cache import building, cache_root
from benchmarks.toolchain.lock import read_lock
from mocovit_deploy.choices import RUNTIMES
from mocovit_deploy.errors import DeployError, StableDeviceError, TransientDeviceError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle whose files hold a few bytes each."""
    path = tmp_path / "bundle"
    (path / "licenses").mkdir(parents=True)
    names = ("bench", LOADER, CLOCK, "libLiteRt.so", "licenses/libc6-copyright")
    for name in names:
        (path / name).write_bytes(name.encode())
    record = {
        "schema_version": 1,
        "runtime": "litert",
        "version": "2.3.0",
        "library": "libLiteRt.so",
        "files": {name: hashlib.sha256(name.encode()).hexdigest() for name in names},
    }
    (path / "bundle.json").write_text(json.dumps(record))
    return path


def test_a_whole_bundle_opens(folder: Path) -> None:
    found = open_bundle(folder)
    assert (found.runtime, found.version) == ("litert", "2.3.0")
    command = found.command(folder)
    assert command[:4] == [str(folder / LOADER), "--library-path", str(folder), str(folder / "bench")]
    assert "--preload" in found.command(folder, preload_clock=True)


def alter(path: Path) -> None:
    (path / "libLiteRt.so").write_bytes(b"other")


def remove(path: Path) -> None:
    (path / "libLiteRt.so").unlink()


def add(path: Path) -> None:
    (path / "libevil.so").write_bytes(b"extra")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (alter, "libLiteRt.so was altered"),
        (remove, "libLiteRt.so is missing"),
        (add, "libevil.so does not belong"),
    ],
)
def test_a_broken_bundle_is_refused(folder: Path, damage: Callable[[Path], None], says: str) -> None:
    damage(folder)
    with pytest.raises(UsageError, match=says) as caught:
        open_bundle(folder)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"files": []}', '{"schema_version": 1, "files": {"a": 1}}', "\xff"]
)
def test_a_record_that_is_none_is_refused(folder: Path, text: str) -> None:
    (folder / "bundle.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"does not describe a bundle"):
        open_bundle(folder)


def test_a_record_without_the_bench_is_refused(folder: Path) -> None:
    record = json.loads((folder / "bundle.json").read_text())
    del record["files"]["bench"]
    (folder / "bench").unlink()
    (folder / "bundle.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match="has no bench"):
        open_bundle(folder)


def test_no_bundle_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mocovit-bench bundle"):
        open_bundle(tmp_path)


def test_the_build_changes_with_a_library_and_not_with_a_licence(folder: Path) -> None:
    before = open_bundle(folder).build
    rewrite(folder, "licenses/libc6-copyright", b"2026")
    assert open_bundle(folder).build == before
    rewrite(folder, "libLiteRt.so", b"2.4.0")
    assert open_bundle(folder).build != before


def rewrite(folder: Path, name: str, data: bytes) -> None:
    record = json.loads((folder / "bundle.json").read_text())
    (folder / name).write_bytes(data)
    record["files"][name] = hashlib.sha256(data).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(record))


def test_an_unknown_runtime_lists_the_known() -> None:
    with pytest.raises(UsageError, match="did you mean 'litert'"):
        find_or_build_bundle(read_lock(), "litrt", deadline_s=5)


def test_every_runtime_of_the_plan_is_locked() -> None:
    lock = read_lock()
    assert set(lock.runtimes) == set(RUNTIMES)
    for wheel in lock.runtimes.values():
        assert len(wheel.sha256) == 64
        assert "aarch64" in wheel.platform


def test_what_cannot_be_fetched_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for variable, value in (
        ("PIP_INDEX_URL", "http://127.0.0.1:9/simple"),
        ("PIP_EXTRA_INDEX_URL", ""),
        ("PIP_FIND_LINKS", ""),
        ("PIP_RETRIES", "0"),
        ("PIP_TIMEOUT", "2"),
        ("PIP_NO_CACHE_DIR", "1"),
        ("PIP_CONFIG_FILE", "/dev/null"),
    ):
        monkeypatch.setenv(variable, value)
    with pytest.raises(TransientDeviceError, match="cannot be fetched") as caught:
        find_or_build_bundle(read_lock(), "tflite", deadline_s=60)
    assert caught.value.exit_status == 7
    assert list((tmp_path / "mocovit-deploy" / "bundles").iterdir()) == []


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "thing"

    def build() -> None:
        with building(final) as unfinished:
            (unfinished / "part").write_bytes(b"x")
            raise DeployError("halfway")

    with pytest.raises(DeployError, match="halfway"):
        build()
    assert list(final.parent.iterdir()) == []


def test_a_full_disk_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StableDeviceError, match="make room") as caught, building(tmp_path / "thing"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_of_ours_is_not_called_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), building(tmp_path / "thing") as unfinished:
        (unfinished / "no" / "folder").write_bytes(b"x")


def test_of_two_builds_at_once_one_is_kept(tmp_path: Path) -> None:
    final = tmp_path / "thing"
    with building(final) as first:
        (first / "who").write_text("first")
        with building(final) as second:
            (second / "who").write_text("second")
    assert (final / "who").read_text() == "second"
    assert list(tmp_path.iterdir()) == [final]


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root().is_absolute()
    assert "relative" not in cache_root().parts


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_bundle_is_built_and_found_again(
    runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the network: wheels by digest, signed Debian packages, the cross-compiler."""
    real_tools = cache_root() / "tools"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if real_tools.is_dir():  # the compiler is 411 MB; one copy serves
        (tmp_path / "mocovit-deploy").mkdir()
        (tmp_path / "mocovit-deploy" / "tools").symlink_to(real_tools)
    built = find_or_build_bundle(read_lock(), runtime, deadline_s=900)
    assert 5e6 < built.size_bytes < 40e6
    record = json.loads((built.path / "bundle.json").read_text())
    assert {package["package"] for package in record["sources"]["debian"]} == {
        "libc6",
        "libgcc-s1",
        "libstdc++6",
    }
    elf = (built.path / "bench").read_bytes()[:20]
    assert elf[:4] == b"\x7fELF"
    assert int.from_bytes(elf[18:20], "little") == 183  # EM_AARCH64
    monkeypatch.setattr(bundles, "_fill", lambda *_, **__: pytest.fail("built twice"))
    assert find_or_build_bundle(read_lock(), runtime, deadline_s=5).build == built.build
    assert [path.name for path in built.path.parent.iterdir()] == [built.path.name]
