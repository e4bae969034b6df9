import os
import subprocess
import sys

import pytest

from mocovit_deploy.artifacts.golden import golden_path
from mocovit_deploy.artifacts.manifest import manifest_path
from mocovit_deploy.errors import UsageError
from mocovit_deploy.exporting.staging import PREFIX, staged


def stage(staging, name, content, folder=False):
    path = staging.folder / name
    if folder:
        path.mkdir()
        (path / "weights").write_text(content)
    else:
        path.write_text(content)
    golden_path(path).write_text(content)
    manifest_path(path).write_text(content)
    return path


@pytest.mark.parametrize("folder", [False, True])
def test_published_files_replace_the_old_ones(tmp_path, folder):
    for content in ("old", "new"):
        with staged(tmp_path) as staging:
            placed = staging.publish(stage(staging, "net.file", content, folder))
    assert placed == tmp_path / "net.file"
    assert (placed / "weights" if folder else placed).read_text() == "new"
    assert manifest_path(placed).read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.file", "net.file.golden.npz", "net.file.json"]


def test_rejected_files_leave_the_old_ones(tmp_path):
    with staged(tmp_path) as staging:
        staging.publish(stage(staging, "net.file", "good"))
    with staged(tmp_path) as staging:
        placed = staging.publish(stage(staging, "net.file", "bad"), rejected=True)
    assert (tmp_path / "net.file").read_text() == "good"
    assert placed == tmp_path / "rejected" / "net.file"
    assert placed.read_text() == "bad"


def test_texts_name_files_and_not_the_folder_that_goes(tmp_path):
    with staged(tmp_path / "out") as staging:
        text = f"{staging.folder / 'net.file'}: cannot be loaded; {tmp_path / 'out' / 'net.file'} stays"
        assert staging.told(text) == f"net.file: cannot be loaded; {tmp_path / 'out' / 'net.file'} stays"


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), staged(tmp_path) as staging:
        stage(staging, "net.file", "half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_what_a_dead_process_left_is_swept_and_what_a_live_one_holds_is_not(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f"{PREFIX}{ended.pid}-abc").mkdir()
    (tmp_path / f"{PREFIX}{os.getppid()}-abc").mkdir()
    with staged(tmp_path):
        pass
    assert [p.name for p in tmp_path.iterdir()] == [f"{PREFIX}{os.getppid()}-abc"]


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_an_unwritable_place_is_a_usage_error(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write there"), staged(tmp_path / place):
        pass
