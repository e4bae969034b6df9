"""Functions in a limited child: results, errors, and what becomes of a child that does not end well."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mocovit_deploy import errors
from mocovit_deploy.untrusted.sandbox import SandboxLimits, call_in_child, limits_for

LIMITS = SandboxLimits(seconds=60, memory_bytes=1 << 30)
VICTIMS = """
import os, signal, sys, time
from mocovit_deploy.errors import ConversionError, UsageError

class Narrower(UsageError):
    def __init__(self, a, b):
        super().__init__(f"{a} {b}")

def echo(value): print("noise"); return {"value": value, "pid": os.getpid(), "inf": float("inf")}
def crash(): os.kill(os.getpid(), signal.SIGSEGV)
def hang():
    while True: pass
def sleep(): time.sleep(600)
def tell_and_sleep(path):
    with open(path + ".new", "w") as file: file.write(str(os.getpid()))
    os.replace(path + ".new", path)
    time.sleep(600)
def memory(): return len(bytearray(8 << 30))
def refuse(): raise ConversionError("a.onnx: no")
def refuse_narrowly(): raise Narrower("a", "b")
def defect(): raise KeyError("lost")
def leave(): os._exit(7)
def path(): return sys.path
"""


@pytest.fixture(autouse=True)
def victims(tmp_path, monkeypatch):
    (tmp_path / "victims.py").write_text(VICTIMS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)


def called(name, limits=LIMITS, **arguments):
    return call_in_child(
        f"victims:{name}", arguments, limits, subject="a.onnx", failure=errors.ParityError, verbose=False
    )


def test_a_result_comes_back_from_another_process(capfd):
    given = {"text": "ü\x1b", "none": None, "list": [1, 2.5]}
    found = called("echo", value=given)
    assert found["value"] == given
    assert found["inf"] == math.inf
    assert found["pid"] != os.getpid()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crash", r"a\.onnx: .*crashed \(SIGSEGV\)"),
        ("memory", r"a\.onnx: .*more than 1\.0 GiB of memory"),
    ],
)
def test_what_a_file_does_to_a_child_is_one_line(name, said):
    with pytest.raises(errors.ParityError, match=said) as caught:
        called(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["hang", "sleep"])
def test_a_child_is_stopped_in_time(name):
    start = time.monotonic()
    with pytest.raises(errors.ParityError, match="did not end within 2 s"):
        called(name, SandboxLimits(seconds=2, memory_bytes=1 << 30))
    assert time.monotonic() - start < 30


def test_errors_keep_their_kind_and_words():
    with pytest.raises(errors.ConversionError, match=r"^a\.onnx: no$"):
        called("refuse")
    with pytest.raises(errors.UsageError, match="^a b$"):
        called("refuse_narrowly")


@pytest.mark.parametrize(("name", "said"), [("defect", "KeyError.*lost"), ("leave", "status 7")])
def test_a_defect_of_ours_is_no_error_of_the_file(name, said):
    with pytest.raises(RuntimeError, match=said):
        called(name)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_a_child_ends_with_a_parent_that_was_killed(tmp_path):
    code = (
        "from mocovit_deploy.untrusted.sandbox import *; import sys; "
        "limits = SandboxLimits(seconds=60, memory_bytes=1 << 30); "
        "call_in_child('victims:tell_and_sleep', {'path': sys.argv[1]}, limits, "
        "subject='x', failure=errors.ParityError, verbose=False)"
    )
    told = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", code, str(told)])
    try:
        child = _when(lambda: told.exists() and told.read_text())
        assert child, "the child never ran"
    finally:
        parent.kill()
        parent.wait()
    assert _when(lambda: not Path(f"/proc/{child}").exists())


def _when(told):
    """What `told` says as soon as it says something, within half a minute."""
    until = time.monotonic() + 30
    while not (found := told()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def test_the_current_folder_is_not_imported_from(tmp_path, monkeypatch):
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / "numpy.py").write_text("raise SystemExit('imported')")
    (folder / "json.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(folder)
    assert str(folder) not in called("path")
    assert "" not in called("path")


def test_limits_grow_with_the_files(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    package = tmp_path / "b.mlpackage"
    package.mkdir()
    (package / "w").write_bytes(b"x" * 2_000_000)
    none = limits_for(tmp_path / "absent")
    found = limits_for(tmp_path / "a", package)
    assert found.seconds - none.seconds == pytest.approx(20)
    assert found.memory_bytes - none.memory_bytes == 80_000_000
    assert limits_for(tmp_path / "a", deadline_s=7).seconds == 7


def test_the_command_says_one_line_and_goes_on_with_the_next_file(tmp_path):
    """A loop without end in the first file; the second is checked all the same."""
    from hostile import crafted, seeds

    files = seeds.model("tiny.onnx")
    endless = next(case for what, case in crafted.for_onnx(files, "tiny.onnx") if "without end" in what)
    for folder, case in (("bad", endless), ("good", files)):
        (tmp_path / folder).mkdir()
        for name, data in case.items():
            (tmp_path / folder / name).write_bytes(data)
    command = Path(sys.executable).with_name("mocovit-parity")
    words = [command, tmp_path / "bad/tiny.onnx", tmp_path / "good/tiny.onnx", "--deadline-s", "3"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1
    assert "did not end within 3 s" in done.stderr
    rows = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("tiny.onnx")]
    assert rows == ["run", "pass"]
