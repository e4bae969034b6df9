"""Reports and TOML files of strangers, through the commands that read them."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from bare_files import operators_of
from hostile import crafted, seeds

from benchmarks.cli.main import main
from benchmarks.devices import latency_fit as calibration
from benchmarks.reports import schema as records
from benchmarks.reports.file import read_reports
from benchmarks.reports.statistics import bootstrap_median
from benchmarks.targets.bench.tensors import as_stored
from benchmarks.targets.benchmark_model import parse_averages
from benchmarks.toolchain import lock
from exporters.tflite.contents import FileTensor, Quantization
from mocovit_deploy.errors import UsageError

REPORT = json.loads(seeds.latency_report()["seed.json"])
COUNTS = json.loads(seeds.count_report()["seed.json"])


def changed(document, **fields):
    copy = json.loads(json.dumps(document))
    copy["reports"][0].update(fields)
    return copy


@pytest.mark.parametrize(
    "document",
    [
        changed(REPORT, samples_ms=[1e300]),
        changed(REPORT, samples_ms=[1e-320, 1.0]),
        changed(REPORT, samples_ms=[10**400]),
        changed(REPORT, load_ms=-1),
        changed(REPORT, peak_memory_bytes=10**30),
        changed(REPORT, rounds=[{**REPORT["reports"][0]["rounds"][0], "sampling_from_s": -1}]),
        changed(COUNTS, instructions_by_run=[0, COUNTS["reports"][0]["counts"]["instructions"]]),
        changed(COUNTS, modelled={**COUNTS["reports"][0]["modelled"], "bound_ms": 0}),
        changed(COUNTS, counts={**COUNTS["reports"][0]["counts"], "loaded_bytes": -1}),
        changed(COUNTS, counts={**COUNTS["reports"][0]["counts"], "cycle_bounds_x24": {"cortex-a76": 0}}),
        changed(REPORT, **{"\x1b[2J\n": 1}),
        changed(REPORT, operators_by_kind={"\x1b[2J\n": None}),
        {"schema_version": "\x1b[2J\n" * 1000, "reports": []},
        {"schema_version": 2, "reports": [{"kind": "\x1b" * 1000}]},
        {"schema_version": 2, "reports": [{"kind": "latency", "\x1b[2J" * 1000: 1}]},
    ],
)
def test_reports_that_cannot_be(document, tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    assert main(["compare", str(path), str(path)]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert said.strip().isprintable()
    assert len(said) < 700 + len(str(tmp_path))


@pytest.mark.parametrize(("what", "files"), list(crafted.for_json()))
def test_crafted_reports(what, files, tmp_path):
    (tmp_path / "seed.json").write_bytes(files["seed.json"])
    with pytest.raises(UsageError) as caught:
        read_reports(tmp_path / "seed.json")
    assert len(str(caught.value).splitlines()) == 1


def test_a_name_in_a_report_is_not_printed_raw(tmp_path, capsys):
    document = changed(REPORT)
    for report in document["reports"]:
        report["subject"]["file"] = f"\x1b[2J{report['subject']['file']}"
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "a.json")]) == 0
    said = capsys.readouterr().err
    assert r"\x1b[2Ja.tflite" in said
    assert "\x1b" not in said


def test_a_defect_of_ours_is_one_line_and_status_1(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("benchmarks.cli.commands.read_reports", lambda _path: {}["lost"])
    assert main(["compare", "a", "b"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "internal error: KeyError" in said[0]


@pytest.mark.parametrize(("what", "files"), list(crafted.for_toml()))
def test_crafted_toml(what, files, tmp_path):
    (tmp_path / "seed.toml").write_bytes(files["seed.toml"])
    start = time.process_time()
    for reading in (lock.read_lock, calibration.read_published, records.read_toml):
        with pytest.raises(UsageError, match=r"cannot be read as TOML"):
            reading(tmp_path / "seed.toml")
    assert time.process_time() - start < 5


@pytest.mark.parametrize("text", ["", "system = 3\ncompiler = 3", "[system]\n[compiler]\n[runtime]\na = 1"])
def test_a_damaged_lock_file(text, tmp_path):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UsageError, match="not a lock file"):
        lock.read_lock(tmp_path / "a.toml")


@pytest.mark.parametrize("figure", ["measured_ms", "published_ms", "bound_ms"])
def test_a_calibration_of_nothing_measured(figure, tmp_path):
    text = calibration.DATA_FILE.read_text()
    damaged = text.replace(f"{figure} = ", f"{figure} = -")
    assert damaged != text
    (tmp_path / "a.toml").write_text(damaged)
    with pytest.raises(UsageError, match="must be a positive number"):
        calibration.read_published(tmp_path / "a.toml")


def test_a_bootstrap_of_a_million_samples_ends():
    samples = [1.0 + n % 97 / 1000 for n in range(1_000_000)]
    found = bootstrap_median(samples, seed=0)
    assert found is not None
    assert found.low <= 1.048 <= found.high


@pytest.mark.parametrize("number", ["1.2.3", "1e999", "." * 5, "9" * 400])
def test_timings_that_are_none(number):
    text = seeds.benchmark_model_text()["seed.txt"].decode()
    assert parse_averages(text).runs == 105
    with pytest.raises(UsageError, match="impossible timings"):
        parse_averages(text.replace("40213", number))
    with pytest.raises(UsageError, match="impossible timings"):
        parse_averages(text.replace("count=105", f"count={'9' * 5000}"))


def test_text_in_an_onnx_file_may_be_no_text(tmp_path):
    """protobuf gives bytes for it; found by the fuzzer."""
    files = seeds.model("tiny.onnx")
    name = b"pkg.torch.onnx.name_scopes"
    assert name in files["tiny.onnx"]
    at = files["tiny.onnx"].index(b"[''", files["tiny.onnx"].index(name))
    damaged = files["tiny.onnx"][:at] + b"\xff\x1b'" + files["tiny.onnx"][at + 3 :]
    (tmp_path / "a.onnx").write_bytes(damaged)
    found = operators_of(tmp_path / "a.onnx")
    assert all(word.isprintable() for op in found for word in (op.kind, op.where, op.name, op.output))


@pytest.mark.parametrize("dtype", ["float32", "", "uint64", "string"])
def test_a_quantized_type_that_is_none(dtype):
    """Scale and zero point on a tensor whose type was damaged; found by the fuzzer."""
    tensor = FileTensor("x", dtype, Quantization(0.5, 3))
    given = np.zeros(2, np.float16)
    with pytest.raises(UsageError, match="x is quantized in"):
        as_stored(given, tensor)


def test_a_tensors_name_is_not_printed_raw(tmp_path, capsys):
    """A name of the file's in an error message of ours; found by the fuzzer."""
    from hostile.readers import named

    files = dict(seeds.model("tiny.tflite"))
    assert files["tiny.tflite"].count(b"args_0") > 1
    files["tiny.tflite"] = files["tiny.tflite"].replace(b"args_0", b"\x1b[2J\n\r")
    named("bench").repair(files)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    assert main(["run", str(tmp_path / "tiny.tflite"), "--target", "host"]) == 2
    said = capsys.readouterr().err
    assert r"\x1b[2J\n\r" in said
    assert len(said.splitlines()) == 1
