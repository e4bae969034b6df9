"""mocovit-bench as a person or a CI job calls it: exit statuses, what goes where, and how fast help is."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli.main import main
from benchmarks.cli.parser import EXAMPLES, build_parser
from benchmarks.reports.file import read_reports, write_reports
from benchmarks.reports.report import CountReport
from benchmarks.targets import host
from benchmarks.targets.context import MeasuringTarget
from mocovit_deploy.choices import TARGETS
from mocovit_deploy.errors import UsageError
from mocovit_deploy.targets import load_target

MODELS = Path(__file__).parents[1] / "models"
QUICK = ["--target", "host", "--runs", "3", "--min-s", "0", "--warmup-runs", "1", "--warmup-min-s", "0"]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    for suffix in ("", ".json", ".golden.npz"):
        shutil.copy(MODELS / f"tiny.tflite{suffix}", tmp_path)
    return tmp_path / "tiny.tflite"


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom benchmarks.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'numpy', 'torch', 'onnx', 'ai_edge_litert', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_command_and_option_has_help() -> None:
    parser = build_parser("mocovit-bench")
    (commands_action,) = (a for a in parser._actions if getattr(a, "choices", None) and a.dest == "command")
    assert commands_action.choices is not None
    for name, command in dict(commands_action.choices).items():
        assert [action.dest for action in command._actions if not action.help] == []
        text = command.format_help()
        assert f"  mocovit-bench {name} " in text.partition("examples:")[2]
        assert "exit status:" in text


@pytest.mark.parametrize("line", [line for text in EXAMPLES.values() for line in text.splitlines()[1:]])
def test_every_example_is_understood(line: str) -> None:
    words = re.sub(r"^ *(MOCOVIT_\w+=\S+ )?mocovit-bench ", "", re.split(r"\s{3,}", line.strip())[0])
    build_parser("mocovit-bench").parse_args(words.split())


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["run", "x.tflite", "--target", "hots"], 2, "did you mean 'host'"),
        (["run", "x.tflite", "--target", "host", "--runtime", "litertt"], 2, "did you mean 'litert'"),
        (["run", "x.tflite", "--target", "emulated", "--cpu", "cortex-a77"], 2, "cortex-a76"),
        (["run", "x.tflite", "--target", "host", "--threads", "0"], 2, "--threads 0: not a whole number"),
        (
            ["run", "x.tflite", "--target", "host", "--min-s", "nan"],
            2,
            "--min-s nan: not a number",
        ),
        (["run", str(MODELS), "--target", "host"], 2, "give a .tflite or an .onnx file"),
        ([], 2, "required: COMMAND"),
        (["run"], 2, "required: FILE, --target"),
        (["run", "x.tflite"], 2, "required: --target"),
        (["fly"], 2, "choose from 'run', 'ab'"),
        (["ab", "a", "--target", "host"], 2, "required: B"),
        (["run", "x.tflite", "--target", "host"], 2, "no such file"),
        (["run", "x.mlpackage", "--target", "host"], 2, "give a .tflite or an .onnx file"),
        (["run", str(MODELS / "make_models.py"), "--target", "host"], 2, "give a .tflite"),
        (["compare", "old.json", "new.json"], 2, "no such file"),
        (["bundle", "--runtime", "torch"], 2, "choose from litert, tflite, onnxruntime"),
    ],
)
def test_a_mistake_ends_with_its_status_in_one_line(
    words: list[str], status: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mocovit-bench: error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err


def test_the_report_goes_to_standard_output_and_prose_does_not(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "report.json"
    assert main(["run", str(tiny), "--no-verify", "--json", "--output", str(kept), *QUICK]) == 0
    captured = capsys.readouterr()
    (report,) = json.loads(captured.out)["reports"]
    assert report["kind"] == "latency"
    assert len(report["samples_ms"]) == 3
    assert "p50" in captured.err
    assert len(read_reports(kept)) == 1


def test_a_file_changed_since_its_export_is_refused(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.write_bytes(tiny.read_bytes() + b"\0")
    assert main(["run", str(tiny), *QUICK]) == 2
    assert "digest differs" in capsys.readouterr().err


def test_a_file_without_a_manifest_only_unchecked(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.with_name("tiny.tflite.json").unlink()
    assert main(["run", str(tiny), *QUICK]) == 2
    assert "--no-verify" in capsys.readouterr().err
    assert main(["run", str(tiny), "--no-verify", *QUICK]) == 0
    assert "outputs not checked (no check was asked for)" in capsys.readouterr().err


def test_a_file_that_is_no_model_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    path = tmp_path / "no.tflite"
    path.write_text("not a model")
    assert main(["run", str(path), "--no-verify", *QUICK]) == 2
    assert "not a TFLite file" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["--cpu=cortex-a76", "--device=snapdragon_855", "--bundle=/nowhere"])
def test_words_of_the_emulator_do_not_go_with_the_host(
    word: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(tiny), "--no-verify", word, *QUICK]) == 2
    assert "--target emulated" in capsys.readouterr().err


def test_a_runtime_that_does_not_read_the_format_is_refused(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(tiny), "--no-verify", "--runtime", "onnxruntime", *QUICK]) == 2
    assert "choose from litert, tflite" in capsys.readouterr().err


def test_ab_measures_in_turn(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny.with_name("other.tflite")
    shutil.copy(tiny, other)
    order: list[str] = []
    measure = host.measure

    def noted(artifact: Any, plan: Any, context: Any) -> Any:
        order.append(artifact.path.name[0])
        return measure(artifact, plan, context)

    monkeypatch.setattr(host, "measure", noted)
    assert main(["ab", str(tiny), str(other), "--rounds", "4", "--no-verify", "--json", *QUICK]) == 0
    assert "".join(order) == "toottoot"
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert re.search(r"ms a pair, between [+-]\S+ and [+-]\S+; 4 pairs\)", captured.err)
    assert document["paired"]["rounds"] == 4
    assert len(document["reports"]) == 8


def test_ab_checks_each_file_once_and_says_so_in_every_report(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("benchmarks.cli.commands._judge", lambda: lambda *_: asked.append("") or Judged())
    assert main(["ab", str(tiny), str(tiny), "--rounds", "3", "--json", *QUICK]) == 0
    captured = capsys.readouterr()
    assert len(asked) == 2
    assert {one["verified"] for one in json.loads(captured.out)["reports"]} == {"pass: by decree"}
    assert "not checked" not in captured.err


@dataclasses.dataclass(frozen=True)
class Judged:
    verdict: str = "pass"
    reason: str = "by decree"


def test_compare_fails_above_the_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], count_report: Callable[..., CountReport]
) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    write_reports(old, [count_report(1000)])
    write_reports(new, [count_report(1040)])
    words = ["compare", str(old), str(new), "--fail-above"]
    assert main([*words, "5%"]) == 0
    assert main([*words, "3%"]) == 6
    assert "slower by more than 3 %" in capsys.readouterr().err
    assert main(["compare", str(old), str(new), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["comparisons"][0]["new"] > 0
    assert main([*words, "fast"]) == 2


def test_calibrate_prints_the_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate"]) == 0
    assert "leave-one-out" in capsys.readouterr().out
    assert main(["calibrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["factor"] > 1


def test_googles_binary_is_measured_with_on_request(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    binary = tmp_path / "benchmark_model"
    binary.write_text(
        "#!/bin/sh\necho 'count=50 first=2 curr=2 min=1000 max=3000 avg=2000 std=1'\n"
        "echo 'Inference timings in us: Init: 7, First inference: 9, Warmup (avg): 3, "
        "Inference (avg): 2000'\n"
    )
    binary.chmod(0o755)
    assert main(["run", str(tiny), "--benchmark-binary", str(binary), "--json", *QUICK]) == 0
    (result,) = json.loads(capsys.readouterr().out)["benchmark_model"]
    assert (result["mean_ms"], result["runs"]) == (2.0, 50)
    assert main(["run", str(tiny), "--benchmark-binary", str(binary), "--per-op", *QUICK]) == 2


def test_a_defect_is_one_line_and_a_traceback_on_request(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: Any) -> None:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(host, "measure", break_down)
    words = ["run", str(tiny), "--no-verify", *QUICK]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "internal error: ZeroDivisionError: by design; run again with --verbose" in said
    assert "Traceback" not in said
    assert main([*words, "--verbose"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_is_no_traceback(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(host, "measure", interrupt)
    assert main(["run", str(tiny), "--no-verify", *QUICK]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--output", "--html"])
def test_a_place_that_cannot_be_written_is_said_before_measuring(
    option: str, tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "measure", None)
    words = ["run", str(tiny), "--no-verify", *QUICK, option]
    assert main([*words, str(tiny.parent / "no" / "r.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    assert main([*words, str(tiny.parent)]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_a_full_disk_is_no_traceback(
    tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(host, "measure", full)
    assert main(["run", str(tiny), "--no-verify", *QUICK]) == 7
    assert "make room" in capsys.readouterr().err


def test_ended_from_outside_it_leaves_no_bench_behind(tiny: Path) -> None:
    words = ["run", str(tiny), "--no-verify", "--target", "host", "--min-s", "100"]
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; from benchmarks.cli.main import main; sys.exit(main({words!r}))",
        ],
        stderr=subprocess.DEVNULL,
    )
    bench = _wait_for_child(program.pid)
    program.terminate()
    assert program.wait(timeout=20) == 143
    for _ in range(50):
        if not Path(f"/proc/{bench}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the bench outlived the command")


def _wait_for_child(parent: int) -> int:
    """The pid of the bench that `parent` runs for long (it starts several, which end at once)."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    for _ in range(200):
        time.sleep(0.1)
        for child in children.read_text().split():
            with contextlib.suppress(FileNotFoundError):
                if b"--min-s=100" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
    raise AssertionError("the bench did not start")


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_offers_what_a_target_must(name: str) -> None:
    module = load_target(name)
    assert isinstance(module.COUNTS, bool)
    for function in ("measure", "run_golden", "count"):
        promised = list(inspect.signature(getattr(MeasuringTarget, function)).parameters)[1:]
        offered = inspect.signature(getattr(module, function)).parameters
        assert [one.removeprefix("_") for one in offered] == promised


def test_an_unknown_target_lists_the_known() -> None:
    with pytest.raises(UsageError, match="did you mean 'host'"):
        load_target("hots")


def test_a_deadline_bounds_the_whole_command(tiny: Path, tmp_path: Path) -> None:
    """An adb that never answers costs the deadline, not the sum of all that would have waited for it."""
    adb = tmp_path / "adb"
    adb.write_text("#!/bin/sh\nexec sleep 300\n")
    adb.chmod(0o755)
    words = ["run", str(tiny), "--target", "adb", "--min-s", "0", "--warmup-min-s", "0", "--deadline-s", "3"]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cli.main", *words],
        env={**os.environ, "ADB": str(adb)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 7
    assert "did not end within its deadline of 3 s; give it more with --deadline-s" in done.stderr
    assert time.monotonic() - began < 60, "one wait for adb's server alone takes 30 s, and there are three"
