import json
import sys

import numpy as np
import pytest

from benchmarks.studies import precision, precision_files
from benchmarks.studies.precision import ROWS, Row
from benchmarks.studies.precision_document import BARS_MS, document
from benchmarks.studies.precision_files import HeldOut, as_row, held_out, judge_in_half, words_of
from benchmarks.studies.study import RowError
from examples.digits.networks import NETWORKS, Trained
from mocovit_deploy.spec import InputSpec, Preprocessing

JUDGED = {
    "images": 5579,
    "accuracy": 0.93,
    "reference_accuracy": 0.932,
    "drop": 0.002,
    "drop_low": -0.001,
    "drop_high": 0.004,
    "agreement": 0.99,
}
COUNTED = {"modelled_ms": 0.81, "instructions": 5_000_000, "partitions": 1}
FILE = {"recipe": "static_wi8_ai8", "error": None, "size_bytes": 1_700_000, "sqnr_db": 30.0, **JUDGED}
FILE |= {"counted": COUNTED, "why": "the fastest"}
TOLD = {"error": None, "commit": "0123456789"}
OURS = next(row for row in ROWS if row.slug == "digits-mocovit_0_5-tflite")
SEARCHED = next(row for row in ROWS if row.slug == "count-mocovit_1_0-auto")
STOCK = next(row for row in ROWS if row.slug == "count-mocovit_1_0-stock")


def test_rows_are_named_once_and_every_network_of_full_size_has_a_bar():
    assert len({row.slug for row in ROWS}) == len(ROWS)
    assert {row.title for row in ROWS if row.kind == "count" and row.made == "stock"} == set(BARS_MS)
    assert {row.trained for row in ROWS if row.kind == "digits"} == set(NETWORKS)


def test_the_document_has_a_line_for_each_file_and_names_the_missing_rows():
    text = document(ROWS, {OURS: {**TOLD, "files": [FILE]}})
    line = "| mocovit_0_5 | TFLite `static_wi8_ai8` | 93.00% | +0.20 (-0.10 to +0.40) | 99.00% | 30 dB |"
    assert text.count(line) == 1
    assert f"**{len(ROWS) - 1} of {len(ROWS)} rows are missing**" in text
    assert "Nothing that was run." in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"drop_high": 0.0101}, "`static_wi8_ai8`: up to 1.01 points, of 1.0"),
        ({"counted": {**COUNTED, "partitions": 2}}, "`static_wi8_ai8`: 2 partitions"),
        ({"recipe": "fp16", "half": {**JUDGED, "drop_high": 0.0031}}, "`fp16`: up to 0.31 points, of 0.3"),
    ],
)
def test_what_falls_short_is_said(changed, said):
    half = changed.get("half")
    file = {**FILE, **changed}
    if half:
        file["half"] = {**half, "moved": 0.01, "smallest_other": 0.1}
    assert f"- mocovit_0_5 {said}" in document(ROWS, {OURS: {**TOLD, "files": [file]}})


def test_a_failed_row_and_a_failed_file_are_named():
    text = document(
        ROWS,
        {
            OURS: {**TOLD, "files": [{"recipe": "fp16", "error": "off by 0.5"}]},
            SEARCHED: {**TOLD, "error": "took longer", "files": []},
        },
    )
    assert "| mocovit_0_5 | TFLite `fp16` | off by 0.5 |" in text
    assert "- count-mocovit_1_0-auto: took longer" in text


def test_counts_stand_beside_stock_and_a_missed_bar_is_said():
    mixed = {"recipe": "mixed_wi8_ai8_fp16", "modelled_ms": 6.2, "partitions": 1, "passed": True}
    files = [{**mixed, "recipe": "fp32", "modelled_ms": 11.6}, mixed]
    searched = {**TOLD, "files": files, "chosen": "mixed_wi8_ai8_fp16", "why": "fastest"}
    refused = {"recipe": "int8_mse", "error": None, "counted": {"error": "did not load"}}
    stock = {**TOLD, "files": [{"recipe": "fp32", "error": None, "counted": COUNTED}, refused]}
    text = document(ROWS, {SEARCHED: searched, STOCK: stock})
    assert (
        "| mocovit_1_0 | 11.60 (1) | - | - | - | **6.20 (1)** | 6.0 | 0.81 (1) | - | does not load |" in text
    )
    assert "- mocovit_1_0, full size: 6.20 ms, of 6.0" in text


def _study(monkeypatch, folder, work):
    monkeypatch.setitem(precision.WORK, ("digits", "ours"), work)
    monkeypatch.setattr(precision, "DOCUMENT", folder / "accuracy.md")
    monkeypatch.setattr(precision, "COMPARED", folder / "claims.md")
    monkeypatch.setattr(sys, "argv", ["precision", "--folder", str(folder), "--only", OURS.slug])
    return precision.main(), json.loads((folder / f"{OURS.slug}.json").read_text())


def test_a_row_that_fails_is_kept_with_its_error_and_run_again(tmp_path, monkeypatch):
    def fail(*_):
        raise RowError("no room")

    status, result = _study(monkeypatch, tmp_path, fail)
    assert (status, result["error"]) == (4, "no room")
    status, result = _study(monkeypatch, tmp_path, lambda *_: {"files": [FILE]})
    assert (status, result["error"]) == (0, None)
    assert _study(monkeypatch, tmp_path, fail)[0] == 0, "a finished row is not run again"


def test_a_new_checkpoint_runs_the_rows_of_its_network_again(tmp_path, monkeypatch):
    _study(monkeypatch, tmp_path, lambda *_: {"files": [FILE]})
    monkeypatch.setattr(Trained, "sources", (precision.CHECKOUT / "README.md",))
    assert _study(monkeypatch, tmp_path, lambda *_: {"files": [FILE, FILE]})[1]["files"] == [FILE, FILE]


def test_a_search_that_accepts_no_file_is_an_error_with_its_candidates(tmp_path, monkeypatch):
    refused = {"candidates": [FILE], "why_chosen": None, "recipe": "auto", "error": "none passes"}
    report = {"files": [refused], "seconds": 1.0, "cpu_seconds": 1.0}
    monkeypatch.setattr(precision, "export_full_size", lambda *_: report)
    result = precision.run_row(SEARCHED, tmp_path)
    assert result["error"] == "none passes"
    assert result["files"] == [FILE]


def test_a_stock_file_that_stops_its_runtime_leaves_the_others(tmp_path, monkeypatch):
    held = HeldOut(None, np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1]), np.array([0, 1]))
    files = [{"recipe": name, "error": None, "path": f"{name}.tflite"} for name in ("fp32", "int8_mse")]

    def answers(path, *_):
        if path.stem == "int8_mse":
            raise RowError(f"{tmp_path}/int8_mse.tflite: DIV failed")
        return precision_files.StockAnswers(np.array([0, 1]), None)

    monkeypatch.setattr(precision, "held_out", lambda *_: held)
    monkeypatch.setattr(precision, "_stock", lambda *_: files)
    monkeypatch.setattr(precision, "stock_answers", answers)
    good, stopped = precision.digits_stock(OURS, tmp_path, tmp_path)["files"]
    assert (good["error"], good["accuracy"]) == (None, 1.0)
    assert stopped["error"] == "int8_mse.tflite: DIV failed"


def test_a_network_is_named_as_the_exporter_wants_it():
    words = words_of(NETWORKS[-1])
    assert words[words.index("--model-arg") + 1] == "head_widths=(256, 320)"
    assert words[-2:] == ["--checkpoint", str(NETWORKS[-1].checkpoint)]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: one.name)
def test_images_are_prepared_as_in_training(network):
    words = words_of(network)
    how = InputSpec(size=network.size).preprocessing
    said = [words[words.index(option) + 1] for option in ("--mean", "--std")]
    assert [tuple(map(float, text.split(","))) for text in said] == [how.mean, how.std]
    assert float(words[words.index("--scale") + 1]) == how.scale


def test_held_out_images_are_made_once(tmp_path, monkeypatch):
    calls = []

    def make(words):
        calls.append(words)
        images = np.zeros((3, 4, 4, 3), np.uint8)
        np.savez(json.loads(words[-1])[1], images=images, labels=np.arange(3), reference=np.arange(3))

    monkeypatch.setattr(precision_files, "child_report", make)
    one, again = held_out(NETWORKS[0], tmp_path), held_out(NETWORKS[0], tmp_path)
    assert len(calls) == 1
    assert one.path == again.path
    assert as_row(one.judge(np.array([0, 1, 1])))["accuracy"] == pytest.approx(2 / 3)


class _Spec:
    name, dtype, layout, shape = "x", "float32", "nchw", (1, 3, 4, 4)


@pytest.mark.parametrize(("shift", "right"), [(0.0, 1.0), (10.0, 0.5)])
def test_half_precision_is_asked_where_the_margin_is_small(monkeypatch, shift, right):
    images = np.zeros((4, 4, 4, 3), np.uint8)
    images[:, 0, 0, 0] = [0, 50, 100, 150]
    held = HeldOut(None, images, np.zeros(4, int), np.zeros(4, int))

    def here(batch):
        bright = float(batch["x"][0, 0, 0, 0])
        return {"y": np.array([[10.0 + bright, 0.0]])}

    def there(batch):
        return {"y": here(batch)["y"] + np.array([[0.0, 3 * shift]])}

    artifact = type(
        "A", (), {"format": "tflite", "inputs": (_Spec,), "outputs": (type("O", (), {"name": "y"}),)}
    )
    artifact.preprocessing = Preprocessing()
    exporter = type("F", (), {"load": lambda _, __: here, "load_half": lambda _, __: there})()
    monkeypatch.setattr(precision_files, "read_manifest", lambda _: artifact)
    monkeypatch.setattr(precision_files, "format_named", lambda _: exporter)
    monkeypatch.setattr(precision_files, "IN_HALF", 2)
    told = judge_in_half(None, held)
    assert told["accuracy"] == right
    assert told["moved"] == pytest.approx(6 * shift)


def test_a_row_is_of_its_kind():
    assert Row("timm/x", None, "auto").slug == "count-x-auto"
