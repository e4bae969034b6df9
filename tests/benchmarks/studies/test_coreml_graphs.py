import pytest

from benchmarks.studies import coreml_graphs
from benchmarks.studies.coreml_graphs import DOCUMENT, ROWS, cells, filled, run_row, told
from benchmarks.studies.study import RowError
from exporters.coreml.program import Operation, Program, Value

COUNTS = {"operations": 9, "moves": 2, "wide": 1, "slow": 3}
OURS = {**COUNTS, "operations": 7, "wide": 0}
RESULT = {
    "files": {
        "stock": {"fp32": {**COUNTS, "error": 3e-7}, "fp16": COUNTS},
        "ours": {"fp32": {**OURS, "error": 2e-7}, "fp16": OURS},
    },
    "commit": "0123456789",
    "tools": {"torch": "2.13.0", "coremltools": "9.0"},
}


def test_a_row_sets_stock_beside_ours():
    assert cells(ROWS[0], RESULT) == ("mocovit_1_0", "9 → 7", "2 → 2", "1 → 0", "3 → 3", "3.0e-07 → 2.0e-07")


def test_a_network_that_coremltools_does_not_convert_as_it_is():
    refused = {**RESULT, "files": {"ours": RESULT["files"]["ours"], "refused": "no alias"}}
    assert cells(ROWS[1], refused)[1:] == ("- → 7", "- → 2", "- → 0", "- → 3", "- → 2.0e-07")
    text = filled(DOCUMENT.read_text(encoding="utf-8"), {ROWS[1]: refused})
    assert "coremltools does not convert ghostnet_100 as it is: no alias." in text


def test_a_row_that_failed_says_why():
    assert cells(ROWS[1], {"files": {}, "error": "no memory"})[:2] == ("ghostnet_100", "no memory")


def test_the_document_has_a_place_for_the_table():
    text = filled(DOCUMENT.read_text(encoding="utf-8"), {ROWS[0]: RESULT})
    assert "| mocovit_1_0 | 9 → 7 |" in text
    assert "with torch 2.13.0 and coremltools 9.0; rows of 0123456789." in text
    assert f"Not run: {', '.join(row.title for row in ROWS[1:])}" in text
    assert filled(text, {ROWS[0]: RESULT}) == text
    with pytest.raises(ValueError, match="no place"):
        filled("# Core ML\n", {ROWS[0]: RESULT})


def test_a_child_that_fails_is_a_result(monkeypatch):
    def failing(words):
        raise RowError("killed")

    monkeypatch.setattr(coreml_graphs, "child_report", failing)
    assert run_row(ROWS[0]) == {"files": {}, "error": "killed"}


def test_operations_are_counted_by_what_they_do():
    wide = Value("a", "fp16", (1, 2, 3, 4, 64))
    plain = Value("b", "fp16", (1, 2, 3, 64))
    operations = (
        Operation("reshape", {"x": "image"}, (wide,)),
        Operation("transpose", {"x": "a"}, (plain,)),
        Operation("relu", {"x": "b"}, (Value("c", "fp16", (1, 64, 3, 2)),)),
    )
    program = Program((Value("image", "fp16", (1, 3, 8, 64)),), ("c",), operations, {})
    assert told(program) == {"operations": 3, "moves": 2, "wide": 1, "slow": 1}
