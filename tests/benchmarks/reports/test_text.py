"""What `mocovit-bench` prints of reports: what helps, and no more."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from benchmarks.reports.compare import compare_reports
from benchmarks.reports.file import read_reports
from benchmarks.reports.plan import counting_plan
from benchmarks.reports.report import CountedOperator, CountReport
from benchmarks.reports.text import MOST_OPERATORS, describe_report
from benchmarks.targets.ab import count_both
from mocovit_deploy.errors import UsageError

Count = Callable[..., CountReport]


def test_the_costliest_operators_first_and_the_rest_in_one_line(count_report: Count) -> None:
    operators = tuple(
        CountedOperator(index=n, kind="ADD", where=f"layer{n}", partition=0, instructions=n)
        for n in range(263)
    )
    lines = list(describe_report(count_report(operators=operators)))
    rows = [line for line in lines if "  ADD  layer" in line]
    assert len(rows) == MOST_OPERATORS
    assert rows[0].endswith("layer262")
    assert "  and 243 more with 85.3 % in all (--json, --output and --html list all)" in lines


@pytest.mark.parametrize("instructions", [1000, 2000])
def test_ab_says_of_the_second_file_what_differs(count_report: Count, instructions: int) -> None:
    first = count_report()
    other = dataclasses.replace(first.subject, file="other.tflite")
    second = dataclasses.replace(count_report(instructions), subject=other)
    reports = iter([first, second])
    said: list[str] = []
    sides: Any = [SimpleNamespace(artifact=None, plan=None, context=None)] * 2
    count_both(cast(Any, SimpleNamespace(measure=lambda *_: next(reports))), sides, said.append)
    whole = list(describe_report(first))
    assert said[: len(whole)] == whole
    header, *differing, rest, comparison = said[len(whole) :]
    assert header.startswith("other.tflite")
    changed = [] if instructions == 1000 else ["  instructions  2,000 per inference (equal in every run)"]
    assert differing == changed
    assert rest == "  the rest is equal"
    assert comparison.startswith(f"{first.subject.file} against other.tflite: ")


def test_compare_says_what_to_do_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.tflite.json").write_text('{"schema_version": 1, "golden_sha256": "0"}')
    with pytest.raises(
        UsageError, match="is the manifest of a file, not a report; measure first: mocovit-bench run"
    ):
        read_reports(tmp_path / "a.tflite.json")
    with pytest.raises(UsageError, match=r"a\.onnx: is a model, not a report; measure first"):
        read_reports(tmp_path / "a.onnx")


def test_two_runtimes_do_not_compare_and_one_line_says_why(count_report: Count) -> None:
    other = count_report(plan=counting_plan(runtime="onnxruntime"))
    with pytest.raises(UsageError, match="OLD ran on litert, NEW on onnxruntime; .* --runtime onnxruntime"):
        compare_reports([count_report()], [other])
