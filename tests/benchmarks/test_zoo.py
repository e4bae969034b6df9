import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import zoo
from benchmarks.zoo import ROWS, Row, cells, document, finished, run_row, sources_digest

RESULT = {
    "input": {"image": [1, 3, 32, 32]},
    "total": {"parameters": 1234, "macs": 5_000_000, "attention_macs": 500_000},
    "batch_norms": {"before": 3, "after": 1},
    "refused": [{"where": "a", "why": "b"}],
    "files": {
        "onnx": {"verdict": "pass", "max_error": 1e-7, "operators": 9, "error": None},
        "coreml": {"verdict": "not run", "max_error": None, "operators": None, "error": "no semantics for x"},
        "tflite": {"verdict": "fail", "max_error": 0.5, "operators": 8, "error": "off"},
    },
    "seconds": 12.0,
    "error": None,
}


def test_every_row_has_a_name_of_its_own():
    assert len({row.slug for row in ROWS}) == len(ROWS)
    assert {row.size for row in ROWS if "mobilevit" in row.model} == {None, 224}


def test_a_line_of_the_table():
    line = cells(Row("timm/net"), RESULT)
    assert line == (
        *("net", "1x3x32x32", "1,234", "5.0 M", "5.5 M", "3 → 1", "1"),
        *("9, 1.0e-07", "not run: no semantics for x", "8, 5.0e-01, fail", "12"),
    )
    assert len(line) == len(zoo.HEADER)
    assert "exploded" in cells(Row("net"), {"error": "exploded"})


def test_the_document_is_a_table_of_every_row():
    text = document(dict.fromkeys(ROWS, RESULT))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == len(ROWS) + 1
    assert len({line.count("|") for line in rows}) == 1


def test_a_result_counts_for_its_sources_alone(tmp_path):
    row = ROWS[0]
    assert finished(tmp_path, row, "a") is None
    (tmp_path / f"{row.slug}.json").write_text(json.dumps({**RESULT, "sources": "a"}))
    assert finished(tmp_path, row, "a") is not None
    assert finished(tmp_path, row, "b") is None
    (tmp_path / f"{row.slug}.json").write_text("{")
    assert finished(tmp_path, row, "a") is None


def test_too_little_disk_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "DISK_CAP_GB", 10**9)
    assert "GB of disk are free" in run_row(ROWS[0], tmp_path)["error"]


def test_a_row_that_fails_says_why(tmp_path):
    assert "did you mean 'mocovit_1_0'" in run_row(Row("mocovit_10"), tmp_path)["error"]
    assert not list(tmp_path.iterdir())


def test_a_child_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(zoo, "TIMEOUT_S", 1)
    start = time.monotonic()
    with pytest.raises(zoo.RowError, match="longer than 1 s"):
        zoo._report(["import time; time.sleep(60)"])
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "row",
    [
        Row("mocovit_0_5", 64),
        Row("timm/mobilenetv3_small_050", 64),
        pytest.param(Row("timm/mobilevit_xxs", 96), marks=pytest.mark.slow),
        pytest.param(Row("timm/efficientvit_b0", 96), marks=pytest.mark.slow),
    ],
    ids=lambda row: row.slug,
)
def test_small_networks_through_the_line(row, tmp_path):
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    result = run_row(row, tmp_path, formats=("onnx",))
    assert result["error"] is None
    assert result["files"]["onnx"]["verdict"] == "pass"
    assert result["files"]["onnx"]["operators"] > 50
    assert result["batch_norms"]["after"] == 0 < result["batch_norms"]["before"]
    assert cells(row, result)
    assert not list(tmp_path.iterdir()), "the files are deleted"


def test_it_goes_on_where_it_was_killed(tmp_path):
    """A finished row is not run again; a run that is interrupted leaves no child and no files."""
    sources = sources_digest()
    done, todo = (row for row in ROWS if row.model in ("mocovit_0_5", "mocovit_1_3"))
    before = json.dumps({**RESULT, "sources": sources})
    (tmp_path / f"{done.slug}.json").write_text(before)
    command = [sys.executable, zoo.__file__, "--folder", str(tmp_path), "--only", "mocovit_*_[35]"]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parent.parent)},
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("files-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert todo.slug in said
    assert done.slug not in said
    assert "run it again to go on" in said
    assert (tmp_path / f"{done.slug}.json").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == [f"{done.slug}.json"]


def test_an_unknown_pattern(tmp_path):
    command = [sys.executable, zoo.__file__, "--folder", str(tmp_path), "--only", "resnet*"]
    path = str(Path(zoo.__file__).parent.parent)
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=60
    )
    assert done.returncode == 2
    assert "no row is like 'resnet*'" in done.stderr
