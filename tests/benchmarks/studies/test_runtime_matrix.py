"""Which files are taken to the runtimes; installing those is what `make runtimes` does."""

import sys
from pathlib import Path

import pytest

from benchmarks.studies import runtime_matrix
from benchmarks.studies.study import RowError


@pytest.fixture
def table_of(monkeypatch, capsys):
    """What the command prints for some words, with verdicts made up."""
    monkeypatch.setattr(runtime_matrix, "_verdicts", lambda packages, files: [packages[0] for _ in files])

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["runtime_matrix", *map(str, words)])
        assert runtime_matrix.main() == 0
        return capsys.readouterr().out.splitlines()

    return run


def test_without_files_the_standard_network_is_exported(table_of, monkeypatch, tmp_path):
    path = tmp_path / "net.tflite"
    path.touch()
    asked = []

    def report(words):
        asked.append(words)
        return {"files": [{"path": str(path)}]}

    monkeypatch.setattr(runtime_matrix, "child_report", report)
    header, _, row = table_of()
    assert header.split() == ["file", *(one[0] for one in runtime_matrix.RUNTIMES)]
    assert row.startswith("net.tflite ")
    assert asked == [
        ["-m", "mocovit_deploy", *runtime_matrix.EXPORT_WORDS, "--output-dir", "build", "--json"],
    ]


def test_files_that_are_given_are_taken(table_of, tmp_path):
    (tmp_path / "a.tflite").touch()
    assert table_of(tmp_path / "a.tflite")[2].startswith("a.tflite ")


def test_an_absent_file_and_a_failed_export_end_with_status_2(table_of, monkeypatch, capsys):
    def fails(_words):
        raise RowError("no torch (exit status 8)")

    monkeypatch.setattr(runtime_matrix, "child_report", fails)
    for words, why in (((Path("absent.tflite"),), "no such file"), ((), "no torch")):
        with pytest.raises(SystemExit) as ended:
            table_of(*words)
        assert ended.value.code == 2
        assert why in capsys.readouterr().err
