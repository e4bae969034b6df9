"""Colour is for terminals, and for those who have not refused it."""

import io

import pytest

from mocovit_deploy.terminal.colour import painted

TABLE = "file    verdict\n------  -------\na.onnx  pass\nb.onnx  fail; off\npass.onnx  not run\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_verdicts_are_coloured_on_a_terminal() -> None:
    text = painted(TABLE, Terminal())
    assert "a.onnx  \x1b[32mpass\x1b[0m\n" in text
    assert "  \x1b[31mfail\x1b[0m; off" in text
    assert "pass.onnx  \x1b[33mnot run\x1b[0m" in text
    assert text.count("\x1b[") == 6


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colour_can_be_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert painted(TABLE, Terminal()) == TABLE


def test_what_is_no_terminal_gets_none() -> None:
    assert painted(TABLE, io.StringIO()) == TABLE
