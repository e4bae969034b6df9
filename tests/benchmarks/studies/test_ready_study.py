from pathlib import Path

import pytest

from benchmarks.studies.ready import COLUMNS, INT8, cells, document, run_row
from benchmarks.studies.zoo_document import ROWS, Row

NONE = {"operators": 9, "outside": [], "remarks": []}
CUMSUM = {"why": "no CUMSUM", "source": "its sources", "kinds": {"CUMSUM": 2}, "first": "blocks.0"}
NARROW = {"why": "a narrow axis", "source": "its notes", "kinds": {"conv": 3, "relu": 1}, "first": "stem"}
FILES = {
    "tflite fp32": {
        "GPU delegate": NONE,
        "XNNPACK, fp32": {**NONE, "outside": [CUMSUM]},
        "XNNPACK, fp16": {**NONE, "outside": [CUMSUM, CUMSUM]},
    },
    "coreml fp16": {"Neural Engine": {**NONE, "remarks": [NARROW]}},
}
RESULT = {"files": FILES, "commit": "0123456789"}
FAILED = {"files": {}, "error": "exploded", "commit": "0123456789"}


def test_a_line_has_what_each_file_says_of_the_delegate_it_is_for():
    line = cells(Row("timm/net"), RESULT)
    assert line == ("net", "0 of 9", "-", "-", "2 of 9", "-", "-", "0 of 9, 4 slow")
    assert len(line) == 1 + len(COLUMNS)
    assert set(cells(Row("net"), FAILED)[1:]) == {"-"}


def test_the_document_names_reasons_modules_failures_and_what_did_not_run():
    text = document({ROWS[0]: RESULT, ROWS[1]: FAILED, ROWS[2]: RESULT})
    first, second, third = (row.title for row in ROWS[:3])
    assert f"- **no CUMSUM** (CUMSUM): {first} 2, {third} 2; the first in `blocks.0` [its sources]" in text
    assert f"- **a narrow axis** (conv, relu): {first} 4, {third} 4; the first in `stem` [its notes]" in text
    assert f"- {second}: exploded" in text
    assert f"**Did not run**: {ROWS[3].title}, " in text
    assert "## GPU" not in text  # nothing is outside it


def test_rows_of_another_commit_are_named():
    text = document({ROWS[0]: RESULT, ROWS[1]: RESULT, ROWS[2]: {**RESULT, "commit": "abcdef"}})
    assert f"`make ready` at 0123456789 ({ROWS[2].title} at abcdef), from files" in text


def test_a_row_that_fails_says_why():
    assert "did you mean 'mocovit_1_0'" in run_row(Row("mocovit_10"))["error"]


@pytest.mark.slow
def test_a_row_asks_every_file():
    found = run_row(Row(f"{Path(__file__).parents[2] / 'helpers' / 'tiny_networks.py'}:tiny", 32))
    assert "error" not in found
    assert list(found["files"]) == ["tflite fp32", "tflite fp16", f"tflite {INT8}", "coreml fp16"]
    assert "-" not in cells(Row("tiny"), found)
