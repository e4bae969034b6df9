"""Three files that change together, with the process killed after any of its steps."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mocovit_deploy.artifacts.install import PREFIX, finish, finish_all, install
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import UsageError

NAMES = ("net.file", "net.file.golden.npz", "net.file.json")


class Killed(BaseException):
    """The process is gone: nothing after it runs."""


def staged(folder: Path, content: str, *, package: bool) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / name for name in NAMES]
    for path in paths:
        if package and path.name == NAMES[0]:
            path.mkdir()
            (path / "weights").write_text(content)
        else:
            path.write_text(content)
    return paths


def contents(folder: Path) -> set[str]:
    files = [folder / name for name in NAMES]
    return {((path / "weights") if path.is_dir() else path).read_text() for path in files}


@pytest.mark.parametrize("package", [False, True])
@pytest.mark.parametrize("steps", range(9))
def test_killed_after_any_rename_the_files_are_all_old_or_all_new(tmp_path, monkeypatch, steps, package):
    out = tmp_path / "out"
    out.mkdir()
    install(staged(tmp_path / "staged", "old", package=package), out)
    new = staged(tmp_path / "again", "new", package=package)
    left = [steps]

    def counted(real):
        def rename(self, target):
            if not left[0]:
                raise Killed
            left[0] -= 1
            return real(self, target)

        return rename

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(Path, "rename", counted(Path.rename))
        killed = False
        try:
            install(new, out)
        except Killed:
            killed = True
    finish(out / NAMES[0])
    assert contents(out) == ({"new"} if steps >= 4 else {"old"})
    assert killed or steps > 6
    assert sorted(path.name for path in out.iterdir()) == sorted(NAMES)


def test_a_reader_completes_what_was_cut_short(tmp_path):
    folder = tmp_path / f"{PREFIX}net.file"
    folder.mkdir()
    (folder / "net.file.json").write_text("{}")
    (tmp_path / "net.file").write_text("new")
    with pytest.raises(UsageError, match="manifest schema None"):
        read_manifest(tmp_path / "net.file")
    assert not folder.exists()


def test_what_cannot_be_completed_is_said(tmp_path, monkeypatch):
    (tmp_path / f"{PREFIX}net.file").mkdir()
    (tmp_path / f"{PREFIX}net.file" / "net.file").write_text("new")

    def refused(self, target):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(UsageError, match="cut short and cannot be completed"):
        finish_all(tmp_path)


def test_readers_at_the_same_time_lose_nothing(tmp_path):
    """A second process that completes the same installation must not move the new folder away."""
    for turn in range(20):
        folder = tmp_path / f"{PREFIX}net.file"
        (folder / "net.file").mkdir(parents=True)
        (folder / "net.file" / "weights").write_text(str(turn))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(finish, [tmp_path / "net.file"] * 4))
        assert (tmp_path / "net.file" / "weights").read_text() == str(turn)
        assert not folder.exists()
