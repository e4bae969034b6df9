"""docs/measure.md and docs/phones.md, typed as they stand, with a virtual phone on the desk."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from documents import commands
from pages import require_whole_page
from phone.desk import QUICK, Desk

from mocovit_deploy.terminal.printable import printable

WALKS = {
    "measure.md": ("bundle", "emulator", "run", "doctor", "run", "ab", "compare"),
    "phones.md": ("doctor", "run", "ab"),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", WALKS)
def test_the_walk_ends_with_a_latency(
    page: str,
    real_desk: Desk,
    model_copy: Callable[[str], Path],
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert bundle.is_dir()
    monkeypatch.chdir(tmp_path)
    for name in ("build/net_224_fp16.tflite", "net.tflite", "old.tflite", "new.tflite"):
        _copied(model_copy(Path(name).name), tmp_path / name)
    seen = []
    for program, command, *words in commands(page):
        assert program == "mocovit-bench"
        phone = "adb" in words or command == "doctor"
        # the virtual phone has the cores of this machine, and no more
        quick = QUICK if "adb" in words else ()
        if command == "compare":
            shutil.copy("net.json", "old.json")
        done = real_desk.call(command, *words, *(["--cores", "1"] if phone else []), *quick)
        assert done.status == 0, f"{command} {words}: {done.err}"
        assert "Traceback" not in done.err
        assert printable(done.err, keep="\n") == done.err
        seen.append((command, done.err))
    assert tuple(command for command, _ in seen) == WALKS[page]
    require_whole_page(Path("net.html").read_text())
    assert re.search(r"median +[0-9.]+ ms|[0-9.]+ ms", seen[WALKS[page].index("ab") - 1][1])


def _copied(model: Path, to: Path) -> None:
    """A file with what lies beside it, in another folder."""
    to.parent.mkdir(exist_ok=True)
    for part in model.parent.glob(f"{model.name}*"):
        shutil.copy(part, to.parent / part.name)
