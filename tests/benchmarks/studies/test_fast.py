import json
import tomllib

import pytest

from benchmarks.studies import fast, fast_files
from benchmarks.studies.fast import ABLATIONS, STAGES, WALK, chosen_lowerings, possible_lowerings
from benchmarks.studies.fast_document import document, measured
from benchmarks.studies.fast_files import brief, count_file
from benchmarks.studies.study import RowError
from benchmarks.studies.why_fast import filled
from benchmarks.studies.zoo_document import ROWS
from exporters.tflite.lowering.choose import COUNTED, LOWERINGS

COUNTED_FILE = {
    "instructions": 50_000_000,
    "modelled_ms": 7.5,
    "partitions": 1,
    "outside": [],
    "operators": 90,
    "transposes": 2,
    "engine": "litert 2.3.0",
    "arithmetic": "fp16",
}
OURS = {**COUNTED_FILE, "rewrites": {"sink_concat": 3}, "notes": [], "half": "max error 1e-3"}
TOLD = {"commit": "0123456789", "tools": {"torch": "1.2.3"}, "sources": "a", "error": None}
STOCK = {"fp32": {**COUNTED_FILE, "partitions": 5}, "fp16": COUNTED_FILE}
RESULT = {**TOLD, "done": {"stock": STOCK, "ours": {"fp32": OURS, "fp16": OURS}}}


def test_every_rewrite_that_counts_decide_on_is_counted_somewhere():
    decided = {one.name for one in LOWERINGS if COUNTED in one.decided.values()}
    assert {one.rewrite for one in ABLATIONS} == decided
    for arithmetic in ("fp32", "fp16"):
        assert set(chosen_lowerings(arithmetic)) <= set(possible_lowerings(arithmetic))


def test_the_document_has_a_line_for_each_network_and_names_the_others():
    text = document({ROWS[0]: RESULT}, {})
    line = f"| {ROWS[0].title} | 50.0 | 50.0 | 7.50 | **7.50** | 5 → 1 | 2 → 2 |"
    assert text.count(line) == 1
    assert f"**{len(ROWS) - 1} of {len(ROWS)} networks were not counted**" in text
    assert "fell short\n" not in text
    assert f"- {ROWS[0].title} fp16: sink_concat 3" in text


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ({**OURS, "half": None}, "fp16: its fp16 arithmetic was not run"),
        ({**OURS, "partitions": 2, "outside": ["GATHER"]}, "fp16: 2 partitions, outside: ['GATHER']"),
        ({"error": "off by 0.5"}, "fp16: off by 0.5"),
        ({**OURS, "notes": ["written by litert-torch: no form of x"]}, "fp16: written by litert-torch"),
    ],
)
def test_what_falls_short_is_said(ours, said):
    text = document({ROWS[0]: {**RESULT, "done": {"stock": STOCK, "ours": {"fp32": OURS, "fp16": ours}}}}, {})
    assert f"- {ROWS[0].title} {said}" in text


def test_steps_are_listed_in_order():
    steps = {precision: [("litert-torch", COUNTED_FILE), ("direct writer", OURS)] for precision in STOCK}
    text = document({}, {ROWS[0]: {**TOLD, "done": steps}})
    assert text.index("| litert-torch | 50.00") < text.index("| direct writer | 50.00")


def test_measured_is_what_the_choice_reads():
    done = {"litert 2.3.0": {"fp16": {"pad_rows": {"with": 45.5, "without": 50.0}}}}
    text = measured([(ROWS[1], {**TOLD, "done": done})])
    table = tomllib.loads(text)["litert 2.3.0"]["fp16"]
    assert table == {"pad_rows": {ROWS[1].title: {"with": 45.5, "without": 50.0}}}


def test_a_file_is_counted_once(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(fast_files, "_counted", lambda path: calls.append(path) or COUNTED_FILE)
    file = tmp_path / "a.tflite"
    file.write_bytes(b"a")
    assert count_file(file, tmp_path) == count_file(file, tmp_path) == COUNTED_FILE
    assert len(calls) == 1
    file.write_bytes(b"b")
    count_file(file, tmp_path)
    assert len(calls) == 2


def test_brief():
    report = {
        "counts": {"instructions": 5},
        "modelled": {"modelled_ms": 1.5},
        "partitions": {"count": 1, "outside": []},
        "operators_by_kind": {"TRANSPOSE": 2, "ADD": 1},
        "engine": {"runtime": "litert", "version": "2.3.0", "arithmetic": "fp32"},
    }
    found = brief(report)
    assert (found["operators"], found["transposes"], found["engine"]) == (3, 2, "litert 2.3.0")
    assert brief({**report, "partitions": None, "operators_by_kind": None})["partitions"] is None


def test_a_row_that_fails_is_kept_as_failed_and_run_again(tmp_path, monkeypatch):
    def fails(*_):
        raise RowError("exploded")

    monkeypatch.setitem(STAGES, "files", fast.Stage(ROWS, fails))
    assert fast._run(tmp_path, "files", ROWS[0])["error"] == "exploded"
    kept = json.loads((tmp_path / f"files-{ROWS[0].slug}.json").read_text())
    assert kept["error"] == "exploded"
    assert fast._finished(tmp_path, "files", ROWS[0], None) is None
    monkeypatch.setitem(STAGES, "files", fast.Stage(ROWS, lambda *_: RESULT["done"]))
    fast._run(tmp_path, "files", ROWS[0])
    assert fast._finished(tmp_path, "files", ROWS[0], None)["done"] == RESULT["done"]
    assert fast._finished(tmp_path, "files", ROWS[0], "other sources") is None


def test_tables_are_written_between_their_marks():
    steps = {precision: [("litert-torch", COUNTED_FILE), ("pad_rows", OURS)] for precision in STOCK}
    walk = "a\n<!-- begin steps mocovit_1_0 fp16 -->\nold\n<!-- end -->\n"
    text = walk + "b\n<!-- begin runtimes fp32 -->\n<!-- end -->\n"
    row = ROWS[1]
    done = filled(text, {row: RESULT}, {row: {**TOLD, "done": steps}})
    assert done.startswith("a\n<!-- begin steps mocovit_1_0 fp16 -->\n| after |")
    assert "| pad_rows | 50.00 | 7.50 |" in done
    assert "| mocovit_1_0 | **7.50** | **7.50** | 10.59 | 11.62 | 12.24 | 20.30 |" in done
    assert "old" not in done
    assert "| ghostnet_100 | - | - | 9.80 | 10.85 | 13.52 | 19.25 |" in done, "nothing is bold without ours"
    assert filled(done, {row: RESULT}, {row: {**TOLD, "done": steps}}) == done
    with pytest.raises(ValueError, match="no table is called 'riddle'"):
        filled("<!-- begin riddle -->\n<!-- end -->", {}, {})


def test_every_mark_of_the_document_names_a_table():
    text = WALK.read_text(encoding="utf-8")
    assert "not counted yet" in filled(text, {}, {})
