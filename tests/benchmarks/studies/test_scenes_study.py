import pytest

from benchmarks.studies import scenes
from benchmarks.studies.scenes import RECIPES, ROWS, SCENES, STOCK, run_row
from benchmarks.studies.scenes_document import document
from benchmarks.studies.study import RowError
from examples.scenes.networks import NETWORKS

COUNTED = {"modelled_ms": 0.81, "instructions": 5_040_000, "partitions": 1}
DROP = {"value": 0.002, "low": -0.001, "high": 0.004}
FILE = {"recipe": "static_wi8_ai8", "error": None, "parity": "pass", "size_bytes": 1_700_000}
FILE |= {"counted": COUNTED, "figures": {"box AP": {"value": 0.651, "drop": DROP}}}
TOLD = {"error": None, "commit": "0123456789", "scenes": 1000, "original": {"box AP": 0.653}}
OURS = next(row for row in ROWS if row.slug == "mocovit_0_5_retinanet-tflite")


def test_rows_are_named_once_and_hold_every_network():
    assert len({row.slug for row in ROWS}) == len(ROWS)
    assert {row.trained for row in ROWS} == set(NETWORKS)
    assert {row.made for row in ROWS} == {*RECIPES, STOCK}
    assert SCENES.keys() == RECIPES.keys()


def test_the_document_has_a_line_for_each_file_and_names_the_missing_rows():
    text = document(ROWS, {OURS: {**TOLD, "files": [FILE]}}, 128)
    line = "| TFLite `static_wi8_ai8` | 1000 | 65.1 (+0.20: -0.10 to +0.40) | pass | 1 | 1.7 MB | 5.0 M |"
    assert text.count(line) == 1
    assert "In PyTorch, float32: box AP 65.3 on 1000 scenes." in text
    assert f"**{len(ROWS) - 1} of {len(ROWS)} rows are missing**" in text
    assert "Nothing that was run." in text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"figures": {"box AP": {"value": 0.6, "drop": {**DROP, "high": 0.0101}}}},
            "may lose 0.20 box AP, up to 1.01, of 1",
        ),
        (
            {"figures": {"box AP": {"value": 0.6, "drop": {"value": 0.02, "low": 0.01, "high": 0.03}}}},
            "loses 2.00 box AP, up to 3.00, of 1",
        ),
        ({"counted": {**COUNTED, "partitions": 2}}, "2 partitions"),
        ({"counted": {"error": "it does not load"}}, "it does not load"),
        ({"error": "scores are off by 2e-02"}, "scores are off by 2e-02"),
    ],
)
def test_what_falls_short_is_said(changed, said):
    text = document(ROWS, {OURS: {**TOLD, "files": [{**FILE, **changed}]}}, 128)
    assert f"- mocovit_0_5_retinanet, TFLite `static_wi8_ai8`: {said}" in text


def test_a_row_that_fails_says_why_without_its_folder(tmp_path, monkeypatch):
    def fail(words, timeout_s=0.0):
        raise RowError(f"no checkpoint in {words[-1]}/x")

    monkeypatch.setattr(scenes, "child_report", fail)
    assert run_row(OURS, tmp_path)["error"] == "no checkpoint in x"
    text = document(ROWS, {OURS: {**TOLD, "error": "no checkpoint", "files": []}}, 128)
    assert "- mocovit_0_5_retinanet-tflite: no checkpoint" in text
