"""docs/phones.md: its table of faults is that of the tests, and a row that is wrong is found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from phone.desk import Outcome
from phone.documented import Row, assert_documented, rows

HERE = Path(__file__).parent


def test_every_row_is_injected_by_a_test_and_every_test_has_a_row() -> None:
    text = "".join((HERE / name).read_text() for name in ("test_faults.py", "test_run.py"))
    known = rows()
    used = {fault for fault in known if f'"{fault}"' in text}
    assert sorted(set(known) - used) == []
    named = re.findall(r'assert_documented\(.*?, "([^"]+)"\)', text)
    assert set(named) <= set(known)


def test_a_row_holds_word_for_word() -> None:
    row = Row("no phone ... is connected; connected: ...", 7)
    assert row.says("mocovit-bench: error: no phone 'a' is connected; connected: b (device)")
    assert not row.says("mocovit-bench: error: no phone 'a' is connected")


def test_what_the_table_does_not_say_is_found() -> None:
    said = "first\nmocovit-bench: error: the battery is at 4 %, below 15 %; charge the phone\n"
    assert_documented(Outcome(7, "", said), "battery nearly empty")
    for status, other in ((2, said), (7, "mocovit-bench: error: the battery is flat")):
        with pytest.raises(AssertionError):
            assert_documented(Outcome(status, "", other), "battery nearly empty")
