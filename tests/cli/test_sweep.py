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
from mocovit_deploy.sweep import run
from mocovit_deploy.sweep.page import sweep_page
from mocovit_deploy.sweep.row import Row, RowResult, failure_of, result_of
from mocovit_deploy.sweep.run import groups_of, run_group, run_sweep
from mocovit_deploy.sweep.table import FIELDS, as_csv, as_json, as_text
from mocovit_deploy.untrusted.process import Finished

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
name = "again"
model = "tiny_networks:tiny"
format = ["onnx", "tflite"]
seed = 1

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
        ("[[system]]\n[[system]]", "would write to one folder, mocovit_1_0; give each a name of its own"),
        (
            "[[system]]\nname = 'a/b'\nformat = 'onnx'\n[[system]]\nname = 'A b'\nformat = 'tflite'",
            "one folder",
        ),
        ("format = 'onnx'\nprecision = 'fp16_weights'\n[[system]]", "no format in it has any of these"),
        ("[[system]]\nname = 3", "3 is not text in quotes"),
    ],
)
def test_what_does_not_fit_is_refused(text, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        read_rows(export_parser(), write(tmp_path, text))


def test_a_format_that_stands_twice_is_one(tmp_path):
    path = write(tmp_path, "format = ['onnx', 'onnx']\nprecision = ['fp32', 'fp32']\n[[system]]")
    assert [(row.format, row.recipe) for row in read_rows(export_parser(), path)] == [("onnx", "fp32")]


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
    said = []
    again = run_sweep(rows, tmp_path / "cut", said.append, runner)
    assert said[:2] == [
        "1 of 4 rows have a result already",
        "3 rows to run, of 1 network; results come a network at a time",
    ]
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


def test_one_child_exports_what_one_command_can():
    """Formats with the same recipes, of one network with the same words."""
    rows = [
        *(Row("a", made, recipe, ()) for made in ("onnx", "coreml") for recipe in ("fp32", "fp16")),
        *(Row("a", "tflite", recipe, ()) for recipe in ("fp32", "fp16_weights")),
        *(Row("b", "onnx", recipe, ("--seed=1",)) for recipe in ("fp32", "fp16")),
    ]
    groups = groups_of(rows)
    assert [len(group) for group in groups] == [4, 2, 2]
    assert [row for group in groups for row in group] == rows
    assert {row.folder for row in groups[0]} == {"a"}


def child(tell):
    """`run_process`, of a child that writes what `tell` says of each file, or nothing at all."""
    ran = []

    def run_process(command, deadline_s):
        words = dict(word.split("=", 1) for word in command if word.startswith("--") and "=" in word)
        asked = [(f, r) for f in words["--format"].split(",") for r in words["--precision"].split(",")]
        ran.append(asked)
        assert deadline_s == len(asked) * run.DEADLINE_S
        files = [tell(*one) for one in asked]
        if None in files:
            return Finished((), -11, "", "", False)
        Path(words["--output-dir"]).mkdir(exist_ok=True)
        return Finished((), max(one["exit_status"] for one in files), json.dumps({"files": files}), "", False)

    return run_process, ran


def told(made, recipe, **changes):
    """What a child says of a file that passed, but for `changes`."""
    output = {"finite": True, "max_error": 1e-6, "sqnr_db": 100.0}
    found = {"format": made, "recipe": recipe, "path": None, "sha256": "a", "error": None, "exit_status": 0}
    parity = {"verdict": "pass", "arithmetic": "fp32", "not_run": "", "half": None, "outputs": [output]}
    found |= {"parity": parity, "accuracy": None, "measured": None}
    return found | changes


def test_what_ends_one_format_costs_the_others_nothing(tmp_path, monkeypatch):
    fake, ran = child(lambda made, recipe: None if made == "coreml" else told(made, recipe))
    monkeypatch.setattr(run, "run_process", fake)
    rows = [Row("net", made, recipe, ()) for made in ("onnx", "coreml") for recipe in ("fp32", "fp16")]
    found = run_group(rows, tmp_path)
    assert [(one.format, one.recipe) for one in found] == [(row.format, row.recipe) for row in rows]
    assert [one.exit_status for one in found] == [0, 0, -11, -11]
    assert "ended by signal SIGSEGV" in found[2].error
    assert list(map(len, ran)) == [4, 1, 1, 1, 1]


def test_each_row_has_the_status_of_its_own_file(tmp_path, monkeypatch):
    unmeasured = {"exit_status": 7, "why_not": "no phone", "median_ms": None, "modelled_ms": None}
    ends = {
        "onnx": {"measured": {**unmeasured, "exit_status": 0, "why_not": "nothing reads it"}},
        "coreml": {"error": f"{tmp_path}/net/a: off", "exit_status": 4},
        "tflite": {"measured": unmeasured},
    }
    fake, ran = child(lambda made, recipe: told(made, recipe, **ends[made]))
    monkeypatch.setattr(run, "run_process", fake)
    found = run_group([Row("net", made, "fp32", ()) for made in ends], tmp_path)
    assert [(one.exit_status, one.error) for one in found] == [(0, ""), (4, "net/a: off"), (7, "no phone")]
    assert [one.lasts for one in found] == [True, True, False]
    assert [one.arithmetic for one in found] == ["fp32"] * 3
    assert len(ran) == 1
    (report,) = (tmp_path / "net").glob("export-*.json")
    assert len(json.loads(report.read_text())["files"]) == 3


def test_every_child_of_a_network_keeps_its_report(tmp_path, monkeypatch):
    fake, _ = child(told)
    monkeypatch.setattr(run, "run_process", fake)
    rows = [Row("net", "onnx", recipe, ()) for recipe in ("fp32", "fp16")]
    for group in (rows, rows[:1], [Row("net", "tflite", "fp32", ())]):
        run_group(group, tmp_path)
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == [
        "export-onnx+fp32+fp16.json",
        "export-onnx+fp32.json",
        "export-tflite+fp32.json",
    ]


def test_an_error_that_is_no_number_is_not_passed_over():
    row = Row("net", "onnx", "fp32", ())
    outputs = [{"finite": True, "max_error": error, "sqnr_db": 100.0} for error in (1e-7, 0.5)]
    parity = told("onnx", "fp32")["parity"]
    assert result_of(row, told("onnx", "fp32", parity={**parity, "outputs": outputs}), None).max_error == 0.5
    outputs.append({"finite": False, "max_error": None, "sqnr_db": None})
    found = result_of(row, told("onnx", "fp32", parity={**parity, "outputs": outputs}), None)
    assert found.max_error is None
    assert found.sqnr_db is None


def test_a_failure_is_a_row():
    row = Row("net", "onnx", "fp32", ())
    failed = failure_of(row, 2, "unknown model")
    assert not failed.passed
    assert failed.lasts
    assert not failure_of(row, -9, "killed").lasts
    said = as_text([failed])
    assert "failed (2)" in said
    assert said.endswith("\n\nnet onnx fp32: unknown model")
    assert "SQNR" not in said  # nothing is known of it
    assert "SQNR" in as_text([result(row)])
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
    assert as_csv([result(rows[0], sha256="a")]) == as_csv([result(rows[0], sha256="b")])


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
        assert "1 of 5 rows failed; the first, gone onnx fp32" in done.stderr
    assert (cut / "sweep.csv").read_bytes() == (whole / "sweep.csv").read_bytes()
    require_whole_page((cut / "sweep.html").read_text())
