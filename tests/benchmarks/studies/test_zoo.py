import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import light_networks
import pytest

from benchmarks.studies import zoo
from benchmarks.studies.study import RowError, child_report, finished, product_digest
from benchmarks.studies.zoo import SWEEP, collected, run_sweep, sweep_toml
from benchmarks.studies.zoo_document import (
    FILES_HEADER,
    NETWORK_HEADER,
    PRECISIONS,
    ROWS,
    Row,
    document,
    files_cells,
    network_cells,
)
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.cli.parsers import export_parser
from mocovit_deploy.cli.sweep import read_rows

PASSED = {"verdict": "pass", "max_error": 1e-7, "operators": 9, "error": None}
RESULT = {
    "input": {"image": [1, 3, 32, 32]},
    "total": {"parameters": 1234, "macs": 5_000_000, "attention_macs": 500_000},
    "batch_norms": {"before": 3, "after": 1},
    "refused": [{"where": "a", "why": "it is shared"}, {"where": "b", "why": "it is shared"}],
    "stages": {"capture": 1.25, "passes": 2.0},
    "files": {
        "onnx fp32": PASSED,
        "onnx fp16": {**PASSED, "operators": 11},
        "coreml fp32": {
            "verdict": "not run",
            "max_error": None,
            "operators": None,
            "error": "no semantics for x",
        },
        "tflite fp32": {"verdict": "fail", "max_error": 0.5, "operators": 8, "error": "off by 0.5"},
        "tflite fp16": {"verdict": "fail", "max_error": None, "operators": 8, "error": "is NaN"},
    },
    "seconds": 12.0,
    "error": "no semantics for x; off by 0.5; is NaN",
    "commit": "0123456789",
    "tools": {"torch": "1.2.3"},
    "sources": "a",
}


def test_every_row_has_a_name_of_its_own():
    assert len({row.slug for row in ROWS}) == len(ROWS)
    assert {row.size for row in ROWS if "mobilevit" in row.model} == {None, 224}


def test_lines_of_the_tables():
    line = network_cells(Row("timm/net"), RESULT)
    assert line == ("net", "1x3x32x32", "1,234", "5.0 M", "5.5 M", "3 → 1", "2", "1.2", "2.0", "12")
    assert len(line) == len(NETWORK_HEADER)
    line = files_cells(Row("timm/net", 224), RESULT)
    assert line == (
        *("net at 224", "9, 1.0e-07", "11, 1.0e-07", "no file, -, **not run**", "-"),
        *("8, 5.0e-01, **fail**", "8, -, **fail**"),
    )
    assert len(line) == len(FILES_HEADER)
    assert "exploded" in network_cells(Row("net"), {"error": "exploded"})
    assert len(files_cells(Row("net"), {"error": "exploded"})) == len(FILES_HEADER)


def test_the_document_has_every_row_and_every_failure_with_its_reason():
    broken = {"error": "exploded (exit status 3)", "commit": "9", "tools": {}, "sources": "a"}
    text = document({**dict.fromkeys(ROWS, RESULT), ROWS[0]: broken})
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    assert len(rows) == 2 * (len(ROWS) + 1)
    assert len({line.count("|") for line in rows}) == 2
    assert f"- {ROWS[0].title}: exploded (exit status 3)" in text
    assert text.count("coreml fp32: no semantics for x") == len(ROWS) - 1
    assert text.count(": 2, the first at `a`: it is shared") == len(ROWS) - 1
    assert f"- {ROWS[0].title}: commit 9" in text
    assert "commit 0123456789, torch 1.2.3." in text
    assert "did not run**:" not in text


def test_rows_that_did_not_run_are_named():
    text = document({ROWS[1]: RESULT})
    assert f"**{len(ROWS) - 1} of {len(ROWS)} rows did not run**: {ROWS[0].title}, " in text
    assert "All rows: commit 0123456789, torch 1.2.3." in text


def test_a_result_counts_for_its_sources_alone(tmp_path):
    row = ROWS[0]
    assert finished(tmp_path, row, "a") is None
    (tmp_path / f"{row.slug}.json").write_text(json.dumps({**RESULT, "sources": "a"}))
    assert finished(tmp_path, row, "a") is not None
    assert finished(tmp_path, row, "b") is None
    assert finished(tmp_path, row, None) is not None, "--keep"
    (tmp_path / f"{row.slug}.json").write_text("{")
    assert finished(tmp_path, row, "a") is None


def test_too_little_disk_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "DISK_CAP_GB", 10**9)
    with pytest.raises(SystemExit, match="GB of disk are free"):
        run_sweep(ROWS[:1], tmp_path)
    assert not list(tmp_path.iterdir())


def test_all_rows_are_one_sweep(tmp_path):
    path = tmp_path / "zoo.toml"
    path.write_text(sweep_toml(ROWS, FORMATS, PRECISIONS))
    rows = read_rows(export_parser(), path)
    assert len(rows) == len(ROWS) * len(FORMATS) * len(PRECISIONS)
    assert [row.folder for row in rows[::6]] == [row.slug for row in ROWS]
    sized = next(row for row in rows if row.folder == "timm_mobilevit_s_224")
    assert set(sized.words) == {"--model=timm/mobilevit_s", "--image-size=224"}


def test_a_row_that_fails_says_why_and_is_not_kept(tmp_path):
    run_sweep([Row("mocovit_10")], tmp_path, formats=("onnx",), precisions=("fp32",))
    assert "did you mean 'mocovit_1_0'" in collected(Row("mocovit_10"), tmp_path)["error"]
    assert collected(Row("mocovit_10"), tmp_path)["error"] == "the sweep did not come to it"
    assert not list(tmp_path.rglob("*mocovit_10*"))


def test_a_child_that_takes_too_long_is_ended():
    start = time.monotonic()
    with pytest.raises(RowError, match="longer than 1 s"):
        child_report(["-c", "import time; time.sleep(60)"], timeout_s=1)
    assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "row",
    [
        Row(f"{light_networks.__file__}:squeeze_like", 64),
        pytest.param(Row("mocovit_0_5", 64), marks=pytest.mark.slow),
        pytest.param(Row("timm/mobilenetv3_small_050", 64), marks=pytest.mark.slow),
        pytest.param(Row("timm/mobilevit_xxs", 96), marks=pytest.mark.slow),
        pytest.param(Row("timm/efficientvit_b0", 96), marks=pytest.mark.slow),
    ],
    ids=lambda row: row.slug,
)
def test_small_networks_through_the_line(row, tmp_path):
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    run_sweep([row], tmp_path, formats=("onnx",), precisions=("fp32",))
    result = collected(row, tmp_path)
    assert result["error"] is None
    assert {name: one["verdict"] for name, one in result["files"].items()} == {"onnx fp32": "pass"}
    assert result["files"]["onnx fp32"]["operators"] > 10
    assert result["batch_norms"]["after"] == 0 < result["batch_norms"]["before"]
    assert network_cells(row, result)
    assert files_cells(row, result)[1].endswith(f", {result['files']['onnx fp32']['max_error']:.1e}")
    assert not list(tmp_path.rglob("*.onnx")), "the files are deleted"


def test_it_goes_on_where_it_was_killed(tmp_path):
    """A finished row is not run again; a run that is interrupted leaves no child and no files."""
    sources = product_digest()
    done, todo = (row for row in ROWS if row.model in ("mocovit_0_5", "mocovit_1_3"))
    before = json.dumps({**RESULT, "sources": sources, "error": None})
    (tmp_path / f"{done.slug}.json").write_text(before)
    command = [
        sys.executable,
        "-m",
        "benchmarks.studies.zoo",
        "--folder",
        str(tmp_path),
        "--only",
        "mocovit_*_[35]",
    ]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[2])},
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / SWEEP).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert done.slug not in said
    assert "run it again to go on" in said
    assert (tmp_path / f"{done.slug}.json").read_text() == before
    assert {path.name for path in tmp_path.iterdir()} == {f"{done.slug}.json", SWEEP}
    assert {path.name for path in (tmp_path / SWEEP).iterdir()} <= {todo.slug}


def test_an_unknown_pattern(tmp_path):
    command = [sys.executable, "-m", "benchmarks.studies.zoo", "--folder", str(tmp_path), "--only", "resnet*"]
    path = str(Path(zoo.__file__).parents[2])
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=60
    )
    assert done.returncode == 2
    assert "no row is like 'resnet*'" in done.stderr
