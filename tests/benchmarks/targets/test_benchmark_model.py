"""Google's benchmark_model: its output as recorded, in the forms it has had, and what is no output of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.reports.plan import Plan
from benchmarks.targets.benchmark_model import measure_averages, parse_averages
from mocovit_deploy.errors import TransientDeviceError, UsageError

# ruff: noqa: E501 - recorded text
PI_2021 = """STARTING!
Loaded model quicknet.tflite
The input model file size (MB): 3.34914
Initialized session in 3.501ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=12 first=156677 curr=33205 min=32578 max=156677 avg=43268.1 std=34197

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=33228 curr=33130 min=32687 max=33239 avg=33071.8 std=129

Inference timings in us: Init: 3501, First inference: 156677, Warmup (avg): 43268.1, Inference (avg): 33071.8
"""

PHONE_2025 = """INFO: Initialized TensorFlow Lite runtime.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
INFO: count=3 first=235158 curr=200386 min=199462 max=235158 avg=211669 std=16613 p5=199462 median=200386 p95=235158
INFO: count=25 first=187533 curr=140990 min=140071 max=195121 avg=145528 std=13583 p5=140545 median=141253 p95=187533
INFO: Inference timings in us: Init: 92318, First inference: 235158, Warmup (avg): 211669, Inference (avg): 145528
INFO: Memory footprint delta from the start of the tool (MB): init=54.2852 overall=73.4102
"""

SLOW_ONE = """count=1 curr=9992420
count=1 curr=84590
Inference timings in us: Init: 25558, First inference: 9992420, Warmup (avg): 9.99242e+06, Inference (avg): 84590
"""

FAILED = "ERROR: Failed to apply GPU delegate.\nBenchmarking failed.\n"


def test_the_timed_runs_are_read_not_the_warm_up() -> None:
    found = parse_averages(PI_2021)
    assert (found.runs, found.mean_ms, found.min_ms, found.max_ms) == (50, 33.0718, 32.687, 33.239)
    assert (found.init_ms, found.first_inference_ms, found.warmup_mean_ms) == (3.501, 156.677, 43.2681)


def test_newer_output_with_percentiles_is_read() -> None:
    found = parse_averages(PHONE_2025)
    assert (found.runs, found.mean_ms, found.max_ms) == (25, 145.528, 195.121)


def test_one_run_and_exponents_are_read() -> None:
    found = parse_averages(SLOW_ONE)
    assert (found.runs, found.min_ms, found.max_ms, found.warmup_mean_ms) == (1, 84.59, 84.59, 9992.42)


@pytest.mark.parametrize(
    "text", ["", FAILED, PI_2021.replace("Inference timings", "Timings"), PI_2021.replace("count=", "n=")]
)
def test_no_match_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="no timings"):
        parse_averages(text)


def program(folder: Path, body: str) -> Path:
    path = folder / "benchmark_model"
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return path


def test_a_program_is_run_and_read(tmp_path: Path) -> None:
    binary = program(
        tmp_path, f"import sys\nassert any(a.startswith('--graph=') for a in sys.argv)\nprint({PI_2021!r})"
    )
    assert (
        measure_averages(binary, tmp_path / "m.tflite", Plan(min_s=0, warmup_min_s=0, deadline_s=30)).runs
        == 50
    )


def test_a_program_that_fails_or_hangs_is_an_error(tmp_path: Path) -> None:
    plan = Plan(min_s=0, warmup_min_s=0, deadline_s=1)
    with pytest.raises(UsageError, match="no good"):
        measure_averages(program(tmp_path, "import sys; sys.exit('no good')"), tmp_path / "m", plan)
    with pytest.raises(TransientDeviceError, match="did not end"):
        measure_averages(program(tmp_path, "import time; time.sleep(60)"), tmp_path / "m", plan)
    with pytest.raises(UsageError, match="no such file"):
        measure_averages(tmp_path / "absent", tmp_path / "m", plan)
