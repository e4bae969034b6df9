"""--sweep: rows in child processes, kept and not run again; killed in between, the same table."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pages import require_whole_page

from mocovit_deploy.cli import main as cli
from mocovit_deploy.cli.parsers import export_parser
from mocovit_deploy.cli.sweep import read_rows
from mocovit_deploy.errors import MissingToolError, UsageError
from mocovit_deploy.sweep.page import sweep_page
from mocovit_deploy.sweep.row import Row, RowResult, result_of
from mocovit_deploy.sweep.run import run_sweep
from mocovit_deploy.sweep.table import FIELDS, as_csv, as_json, as_text

ROOT = Path(__file__).parents[2]
TOML = """
format = ["onnx", "tflite"]
precision = ["fp32", "fp16_weights"]
image_size = 32

[[system]]
name = "tiny"
model = "tiny_networks:tiny"

[[system]]
name = "gone"
model = "tiny_networks:gone"
"""
SHORT = """
image_size = 32

[[system]]
name = "tiny"
model = "tiny_networks:tiny"
format = ["onnx", "tflite"]

[[system]]
name = "gone"
model = "tiny_networks:gone"
format = "onnx"
"""


def write(folder, text):
    path = folder / "sweep.toml"
    path.write_text(text)
    return path


def test_rows_are_systems_times_what_formats_have(tmp_path):
    rows = read_rows(export_parser(), write(tmp_path, TOML))
    assert [row.slug for row in rows] == [
        f"{system}-{made}"
        for system in ("tiny", "gone")
        for made in ("onnx-fp32", "tflite-fp32", "tflite-fp16_weights")
    ]
    assert rows[0].words == ("--image-size=32", "--model=tiny_networks:tiny")


def test_the_file_of_the_document_is_taken(tmp_path):
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "sweep.md").read_text(), re.DOTALL)
    rows = read_rows(export_parser(), write(tmp_path, text))
    assert len(rows) == 2 * 3 * 3
    assert {"--model=timm/ghostnet_100", "--num-classes=10", "--measure=emulated"} <= set(rows[-1].words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no \[\[system\]\] table"),
        ("system = 3", r"no \[\[system\]\] table"),
        ('[[system]]\nmodl = "a"', "unknown option 'modl'; did you mean 'model'"),
        ("report = 'a.html'\n[[system]]", "report does not go into a sweep"),
        ("[[system]]\n[[system]]", "give each .* a name of its own"),
        ("format = 'onnx'\nprecision = 'fp16_weights'\n[[system]]", "no format in it has any of these"),
        ("[[system]]\nname = 3", "3 is not text in quotes"),
    ],
)
def test_what_does_not_fit_is_refused(text, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        read_rows(export_parser(), write(tmp_path, text))


def test_other_options_are_refused(tmp_path):
    with pytest.raises(UsageError, match="--opset goes into the file of --sweep"):
        cli._export(["--sweep", str(write(tmp_path, TOML)), "--opset", "17"])


def test_ray_is_said_to_be_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingToolError, match=r"ray is not installed.*\[ray\]"):
        cli._export(["--sweep", str(write(tmp_path, TOML)), "--ray", "auto"])
    with pytest.raises(UsageError, match="--ray runs a --sweep"):
        cli._export(["--ray", "auto"])


def result(row, **changes):
    found = {"size_bytes": 1000, "max_error": 1e-6, "sqnr_db": 100.0, "file": "a.onnx", "exit_status": 0}
    return RowResult(
        system=row.system, format=row.format, recipe=row.recipe, key=row.key(), **{**found, **changes}
    )


def test_only_missing_rows_are_run_and_the_table_is_the_same(tmp_path):
    rows = [Row("net", "onnx", recipe, ("--seed=1",)) for recipe in ("fp32", "fp16", "a", "b")]
    ends = {"a": {"exit_status": 4, "error": "off"}, "b": {"exit_status": 7, "error": "disk full"}}
    ran = []

    def runner(missing, _folder):
        for row in missing:
            if row.recipe == "a" and "fp16" not in ran:
                raise KeyboardInterrupt
            ran.append(row.recipe)
            yield result(row, **ends.get(row.recipe, {}))

    ran.append("fp16")
    whole = run_sweep(rows, tmp_path / "whole", print, runner)
    ran.clear()
    with pytest.raises(KeyboardInterrupt):
        run_sweep([rows[0], rows[2]], tmp_path / "cut", print, runner)
    assert ran == ["fp32"]
    again = run_sweep(rows, tmp_path / "cut", print, runner)
    assert ran == ["fp32", "fp16", "a", "b"]
    assert as_csv(again) == as_csv(whole)
    run_sweep(rows, tmp_path / "cut", print, runner)
    assert ran[4:] == ["b"]  # what may pass is tried again
    changed = [Row("net", "onnx", "fp32", ("--seed=2",))]
    run_sweep(changed, tmp_path / "cut", print, runner)
    assert ran[5:] == ["fp32"]


def test_a_row_changes_with_the_files_it_names(tmp_path):
    weights = tmp_path / "a.pt"
    weights.write_bytes(b"1")
    row = Row("net", "onnx", "fp32", (f"--checkpoint={weights}",))
    before = row.key()
    weights.write_bytes(b"2")
    assert row.key() != before


def test_a_failure_is_a_row():
    row = Row("net", "onnx", "fp32", ())
    failed = result_of(row, 2, {"error": "unknown model", "exit_status": 2}, None)
    assert not failed.passed
    assert failed.lasts
    assert not result_of(row, -9, {}, None).lasts
    assert "failed (2): unknown model" in as_text([failed])
    assert json.loads(as_json([failed]))["rows"][0]["max_error"] is None


def test_the_page_is_whole_and_escapes():
    evil = "<script>alert(1)</script>"
    rows = [Row(evil, name, "fp32", ()) for name in ("onnx", "tflite")]
    found = [
        result(rows[0], milliseconds=3.0, modelled=True, instructions=9),
        result(rows[1], milliseconds=5.0, max_error=0.0),
        result(Row("net", "coreml", "fp16", ()), exit_status=4, error=evil, max_error=None, size_bytes=None),
    ]
    text = sweep_page(found)
    require_whole_page(text)
    assert "<script" not in text
    assert "The fastest is onnx fp32: 3 ms modelled" in text
    require_whole_page(sweep_page(found[2:]))
    assert as_csv([result(Row("=cmd()", "onnx", "fp32", ()))]).splitlines()[1].startswith("'=cmd()")
    assert next(csv.reader([as_csv(found).splitlines()[0]])) == list(FIELDS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_killed_sweep_ends_with_the_same_table(tmp_path):
    path = write(tmp_path, SHORT)
    command = [sys.executable, "-m", "mocovit_deploy", "--sweep", str(path), "--output-dir"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")])}
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    child = subprocess.Popen([*command, str(cut)], env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 240
        while not (cut / "tiny-onnx-fp32.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not (cut / "sweep.csv").exists()
    for folder in (cut, whole):
        done = subprocess.run(
            [*command, str(folder)], env=environment, capture_output=True, text=True, timeout=500
        )
        assert done.returncode == 2, done.stderr  # the network that is gone
        assert "1 of 3 rows failed; the first, gone onnx fp32" in done.stderr
    assert (cut / "sweep.csv").read_bytes() == (whole / "sweep.csv").read_bytes()
    require_whole_page((cut / "sweep.html").read_text())
