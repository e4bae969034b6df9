"""The three reports: whole, valid, and short enough."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mocovit_deploy.contract.bounds import metric_named
from mocovit_deploy.contract.check import judge_metric
from mocovit_deploy.contract.metric import Measured
from mocovit_deploy.contract.reports.as_json import as_json
from mocovit_deploy.contract.reports.junit import junit
from mocovit_deploy.contract.reports.markdown import LARGEST, markdown
from mocovit_deploy.contract.reports.text import as_text
from mocovit_deploy.contract.result import Check, ContractResult, FileResult
from mocovit_deploy.errors import (
    AccuracyError,
    ConversionError,
    MissingToolError,
    ParityError,
    SlowerError,
    StableDeviceError,
    UsageError,
)
from mocovit_deploy.parity.decide import FAIL, NOT_RUN, PASS

HELD = judge_metric(
    metric_named("max_error"), 1e-5, Measured(4.7e-7, "onnxruntime 1.31.1, fp32", "logits on a")
)
MISSED = judge_metric(
    metric_named("max_partitions"), 1.0, Measured(13, "litert 2.3.0", "a | b\n<c> `d` @you \x1b[0m")
)
ABSENT = Check(
    "instructions", "exactly 5", 5.0, NOT_RUN, "no emulator", error=MissingToolError("no emulator")
)


def result(*checks, notes=("computed in fp32 here",)):
    files = (
        FileResult("net", "tflite fp32", Path("build/net/net.tflite"), "found", tuple(checks), notes),
        FileResult("other", "onnx fp32", None, "not exported", (HELD,)),
    )
    return ContractResult(Path("parity.toml"), files, "2026-11-24T22:00:00", 12.34, (("python", "3.11"),))


def test_json_is_whole_and_has_no_nan():
    infinite = judge_metric(metric_named("min_sqnr_db"), 10.0, Measured(math.inf, "x"))
    broken = judge_metric(metric_named("max_error"), 1e-5, Measured(math.nan, "x"))
    report = as_json(result(HELD, MISSED, ABSENT, infinite, broken))
    json.dumps(report, allow_nan=False)
    assert (report["verdict"], report["exit_status"]) == ("fail", 4)
    assert report["summary"] == "3 of 6 bounds hold, 2 failed, 1 not run"
    held, missed, absent, equal, nan = report["files"][0]["checks"]
    assert (held["verdict"], held["value"], held["limit"]) == ("pass", 4.7e-7, 1e-5)
    assert (missed["verdict"], missed["value"], missed["margin"], missed["exit_status"]) == (
        "fail",
        13,
        "-12",
        6,
    )
    assert (absent["verdict"], absent["value"], absent["exit_status"]) == ("not run", None, 8)
    assert (equal["verdict"], equal["value"], equal["measured"]) == ("pass", None, "inf dB")
    assert (nan["verdict"], nan["value"]) == ("fail", None)


ATTRIBUTES = {
    "testsuites": set(),
    "testsuite": {"name", "package", "id", "timestamp", "hostname", "tests", "failures", "errors", "time"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "system-out": set(),
    "system-err": set(),
}
"""What Ant's schema requires; it takes nothing else that is written here."""


def test_junit_is_what_the_schema_wants():
    document = junit(result(HELD, MISSED, ABSENT))
    root = ET.fromstring(document.encode())  # noqa: S314 - our own document
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == ATTRIBUTES[element.tag], element.tag
    for number, suite in enumerate(root):
        cases = suite.findall("testcase")
        tags = [child.tag for child in suite]
        assert tags == ["properties", *["testcase"] * len(cases), "system-out", "system-err"]
        assert suite.get("id") == str(number)
        assert int(suite.get("tests")) == len(cases)
        assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
        assert int(suite.get("errors")) == len(suite.findall("testcase/error"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
        assert float(suite.get("time")) >= 0
    failure = root.find("testsuite/testcase/failure")
    assert failure.get("type") == "SlowerError"
    assert "max_partitions is 13, the bound is at most 1" in failure.get("message")
    error = root.find("testsuite/testcase/error")
    assert (error.get("type"), error.get("message")) == ("MissingToolError", "no emulator")
    assert "\x1b" not in document


def test_markdown_has_misses_first_and_no_markup_of_others():
    told = markdown(result(HELD, ABSENT, MISSED))
    lines = told.splitlines()
    assert lines[0] == "### Parity contract: fail"
    assert lines[2] == "parity.toml: 2 of 4 bounds hold, 1 failed, 1 not run."
    rows = [line for line in lines if line.startswith("| ")][1:]
    assert [row.split(" | ")[0] for row in rows] == ["| **fail**", "| **not run**", "| pass", "| pass"]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows), "six cells, whatever is in them"
    assert r"\<c\> \`d\` &#64;you" in rows[0]
    assert "- net tflite fp32: computed in fp32 here" in lines


@pytest.mark.parametrize("check", [HELD, MISSED])
def test_markdown_fits_into_a_comment(check):
    told = markdown(result(*[check] * 5000, MISSED, notes=("n" * 300,) * 500))
    assert len(told) <= LARGEST
    assert told.splitlines()[6].startswith("| **fail** |"), "what missed is never what is left out first"
    assert re.search(r"\.\.\. and \d+ more bounds", told)
    assert told.rstrip().endswith("python 3.11")


def test_a_table_for_a_terminal():
    told = as_text(result(HELD, MISSED))
    assert "max_partitions at most 1" in told
    assert told.endswith("parity.toml: 2 of 3 bounds hold, 1 failed, 12 s\n")


def failing(error, verdict=FAIL):
    return Check("max_error", "at most 1", 1.0, verdict, str(error), error=error)


@pytest.mark.parametrize(
    ("errors", "status"),
    [
        ((SlowerError("s"), ParityError("p"), AccuracyError("a")), 4),
        ((SlowerError("s"), AccuracyError("a")), 5),
        ((MissingToolError("m"), SlowerError("s")), 6),
        ((MissingToolError("m"), StableDeviceError("d")), 7),
        ((MissingToolError("m"),), 8),
        ((ParityError("p"), ConversionError("c")), 3),
        ((ConversionError("c"), UsageError("u")), 2),
    ],
)
def test_the_exit_status_is_the_first_of_what_missed(errors, status):
    found = result(HELD, *map(failing, errors))
    assert found.exit_status == status
    assert type(found.error).exit_status == status
    assert str(found.error).startswith("parity.toml: 2 of ")


def test_verdicts_of_a_whole():
    assert result(HELD).verdict == PASS
    assert result(HELD).error is None
    assert result(HELD, ABSENT).verdict == NOT_RUN
    assert result(ABSENT, MISSED).verdict == FAIL
    nothing = ContractResult(Path("parity.toml"), (), "2026-11-24T22:00:00", 0.0, ())
    assert nothing.verdict == NOT_RUN
