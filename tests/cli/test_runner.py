"""Every way a command can end, in one line and a documented status; the real programs in child processes."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.cli import main as bench
from mocovit_deploy.cli import main as cli
from mocovit_deploy.cli.runner import INTERRUPTED, run_command
from mocovit_deploy.errors import ConversionError, OutputError, UsageError
from mocovit_deploy.terminal.interrupts import raise_if_interrupted
from mocovit_deploy.terminal.progress import Stages

HELPERS = str(Path(__file__).parents[1] / "helpers")
PROGRAMS = {
    "mocovit-export": "from mocovit_deploy.cli.main import export_main as main",
    "mocovit-parity": "from mocovit_deploy.cli.main import parity_main as main",
    "mocovit-bench": "from benchmarks.cli.main import main",
}


def command(program, *words):
    code = f"import sys; {PROGRAMS[program]}; sys.exit(main())"
    return [sys.executable, "-c", code, *words]


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join([HELPERS, *sys.path])}


def raising(error):
    def work(_words):
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("no such file"), 2, "p: error: no such file\n"),
        (ConversionError("a\x1b[2J"), 3, "p: error: a\\x1b[2J\n"),
        (KeyboardInterrupt(), 130, "p: interrupted\n"),
        (
            ValueError("odd"),
            1,
            "p: internal error: ValueError: odd; run again with --verbose for the traceback\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/y"),
            7,
            "p: error: /x/y: No space left on device; ",
        ),
        (
            OSError(errno.EFBIG, "File too large", "/x/y"),
            7,
            "p: error: /x/y: File too large; make room there",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']"),
            7,
            "p: error: no folder for temporary files can be written; make room, or set TMPDIR",
        ),
    ],
)
def test_one_line_and_its_status(error, status, line, capsys):
    assert run_command("p", raising(error), []) == status
    said = capsys.readouterr().err
    assert said.startswith(line)
    assert said.count("\n") == 1


def test_a_full_disk_at_the_root_of_another_error(capsys):
    def work(_words):
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise RuntimeError("cannot save") from error

    assert run_command("p", work, []) == OutputError.exit_status
    assert "No space left on device; make room there" in capsys.readouterr().err


def test_json_says_a_failure_too(capsys):
    assert run_command("p", raising(UsageError("no such file")), ["--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "schema_version": 1,
        "program": "p",
        "error": "no such file",
        "kind": "UsageError",
        "exit_status": 2,
    }


def test_a_report_that_was_printed_stays_the_only_document(capsys):
    def work(_words):
        print('{"report": 1}')
        raise UsageError("and yet")

    assert run_command("p", work, ["--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"report": 1}


@pytest.mark.parametrize("program", PROGRAMS)
def test_json_of_every_program(program):
    words = {
        "mocovit-export": ["--model", "nowhere.py:f"],
        "mocovit-parity": ["no.onnx"],
        "mocovit-bench": ["run", "no.onnx", "--target", "host"],
    }[program]
    done = subprocess.run(
        command(program, *words, "--json"), capture_output=True, text=True, timeout=60, env=environment()
    )
    assert done.returncode == 2
    assert "no such file" in json.dumps(json.loads(done.stdout))
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{program}: error: ")


def test_an_interrupt_that_a_library_swallows_still_ends_with_130(capsys):
    def work(_words):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except BaseException:  # noqa: BLE001, S110 - as jax does
            pass
        with Stages()("next"):
            raise AssertionError("never reached")

    assert run_command("p", work, []) == INTERRUPTED
    assert capsys.readouterr().err == "p: interrupted\n"
    raise_if_interrupted()  # forgotten by now


def test_a_swallowed_interrupt_of_a_command_that_then_ends(capsys):
    def work(_words):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            pass
        return 0

    assert run_command("p", work, []) == INTERRUPTED
    assert run_command("p", lambda _words: 0, []) == 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_closed_stdout(program):
    done = subprocess.run(
        ["/bin/bash", "-c", 'exec "$@" >&-', "bash", *command(program, "--version")],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert done.returncode == 7
    assert done.stderr == f"{program}: error: stdout is closed: there is nowhere to print to\n"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_closed_pipe(program):
    """The reader is gone before the first word is written."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command(program, "--help"),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env=environment(),
    )
    os.close(writing)
    assert done.returncode == 7
    assert (
        done.stderr
        == f"{program}: error: the reader of the output closed it before the end (a closed pipe)\n"
    )


def test_a_reader_of_stderr_that_has_gone_changes_no_status(monkeypatch):
    hear, tell = os.pipe()
    os.close(hear)
    with os.fdopen(tell, "w", buffering=1) as nobody:
        monkeypatch.setattr(sys, "stderr", nobody)
        assert run_command("p", lambda _words: print("note: a", file=sys.stderr) or 0, []) == 0
        assert run_command("p", raising(UsageError("no")), []) == 2
        assert sys.stderr is nobody


def test_a_limit_on_file_sizes(tmp_path):
    words = [
        "--model",
        "tiny_networks:tiny",
        "--image-size",
        "32",
        "--format",
        "onnx",
        "--output-dir",
        str(tmp_path),
    ]
    done = subprocess.run(
        command("mocovit-export", *words),
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 7, done.stderr
    assert "File too large; make room" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_first_ten_details_of_an_error_and_all_with_verbose(capsys):
    def fails(_words):
        raise UsageError("a.pt: does not fit", [f"missing {number}" for number in range(320)])

    assert run_command("mocovit-export", fails, []) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "mocovit-export: error: a.pt: does not fit"
    assert lines[1:11] == [f"  missing {number}" for number in range(10)]
    assert lines[11:] == ["  and 310 more; --verbose lists them all"]
    assert run_command("mocovit-export", fails, ["--verbose"]) == 2
    assert capsys.readouterr().err.count("\n  missing ") == 320
    assert run_command("mocovit-export", fails, ["--json"]) == 2
    assert len(json.loads(capsys.readouterr().out)["details"]) == 320


@pytest.mark.parametrize(
    ("program", "command", "words"),
    [
        ("mocovit-export", cli._export, []),
        ("mocovit-parity", cli._parity, ["a.onnx"]),
        ("mocovit-bench", bench._command, ["emulator"]),
    ],
)
def test_windows_is_told_in_one_line(program, command, words, monkeypatch, capsys):
    monkeypatch.setattr("os.name", "other")
    assert run_command(program, command, words) == 2
    said = f"{program}: error: {program} runs on Linux and macOS; on Windows, run it in WSL\n"
    assert capsys.readouterr().err == said
