"""The time of an export of mocovit_1_0, stage by stage, with each run in a process of its own.

    python -m benchmarks.studies.export_speed [--rounds N] [--baseline]

Prints medians over the rounds beside their budgets: wall time, and CPU time of all threads, which a busy
machine hardly changes. `--help` and bare Python are measured in turn, because the difference matters.
`--baseline` adds litert-torch on the original network.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from mocovit_deploy.terminal.table import megabytes, table

# stage, timed parts that it adds up, budget in seconds
BUDGETS = (
    ("capture", ("capture",), 3.0),
    ("passes, with proofs", ("passes",), 3.0),
    ("ONNX", ("onnx fp32",), 4.0),
    ("Core ML", ("coreml fp32",), 4.0),
    ("TFLite", ("tflite fp32",), 10.0),
)
UNBUDGETED = (
    *("imports", "request", "network", "reference"),
    *("parity onnx fp32", "parity coreml fp32", "parity tflite fp32"),
)
HELP_BUDGET_S = 0.03
PROGRAMS = (
    ("mocovit-export", "mocovit_deploy.cli.main", "export_main"),
    ("mocovit-parity", "mocovit_deploy.cli.main", "parity_main"),
    ("mocovit-bench", "benchmarks.cli.main", "main"),
)
"""The programs, each with the module and the function of its entry point."""
HELP_ROUNDS = 20
TIMEOUT_S = 600

BASELINE = """
import json, time, torch, litert_torch
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import ModelSpec
module = load_network(ModelSpec()).module
start, start_cpu = time.perf_counter(), time.process_time()
litert_torch.convert(litert_torch.to_channel_last_io(module, args=[0]).eval(), (torch.zeros(1, 224, 224, 3),))
print(json.dumps([time.perf_counter() - start, time.process_time() - start_cpu]))
"""


def main() -> int:
    """Run the study on the options of the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="exports to time (default: 3)")
    parser.add_argument(
        "--baseline", action="store_true", help="also time litert-torch on the original network"
    )
    given = parser.parse_args()
    reports = [_export() for _ in range(given.rounds)]

    def spent(*stages: str) -> list[tuple[float, float]]:
        """(wall, CPU) seconds of each round."""
        clocks = ("seconds", "cpu_seconds")
        return [(sum(r[clocks[0]][s] for s in stages), sum(r[clocks[1]][s] for s in stages)) for r in reports]

    rows = [
        (name, *_medians(spent(*stages), 1, "s"), f"{budget_s:.1f} s") for name, stages, budget_s in BUDGETS
    ]
    for program, extra in _help_over_python(HELP_ROUNDS).items():
        budget = f"{HELP_BUDGET_S * 1e3:.0f} ms"
        rows.append((f"{program} --help over bare Python", *_medians(extra, 0, "ms", scale=1e3), budget))
    rows += [(name, *_medians(spent(name), 1, "s"), "-") for name in UNBUDGETED]
    if given.baseline:
        baselines = [_run([sys.executable, "-c", BASELINE]).splitlines()[-1] for _ in range(given.rounds)]
        taken = [(float(wall), float(cpu)) for wall, cpu in map(json.loads, baselines)]
        rows.append(("litert-torch, original network", *_medians(taken, 1, "s"), "-"))
    peak = max(report["peak_memory_bytes"] for report in reports)
    sys.stdout.write(
        table(("stage", "wall, median", "least", "CPU, median", "budget"), rows)
        + f"\npeak memory {megabytes(peak)}\n"
    )
    return 0


def _export() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = "import sys; from mocovit_deploy.cli.main import export_main; sys.exit(export_main())"
        report: dict[str, Any] = json.loads(
            _run([sys.executable, "-c", command, "--json", "--output-dir", folder])
        )
    return report


def _medians(
    spent: list[tuple[float, float]], digits: int, unit: str, *, scale: float = 1.0
) -> tuple[str, ...]:
    """Median and least wall time, and median CPU time, as text; `scale` converts seconds to `unit`."""
    walls, cpus = zip(*spent, strict=True)
    shown = (statistics.median(walls), min(walls), statistics.median(cpus))
    return tuple(f"{seconds * scale:.{digits}f} {unit}" for seconds in shown)


def _help_over_python(rounds: int) -> dict[str, list[tuple[float, float]]]:
    """The extra (wall, CPU) seconds of each program's --help over `python -c pass`, measured in turn."""
    extra: dict[str, list[tuple[float, float]]] = {program: [] for program, _, _ in PROGRAMS}
    for _ in range(rounds):
        bare = _timed([sys.executable, "-c", "pass"])
        for program, module, function in PROGRAMS:
            words = f"import sys; sys.argv[1:] = ['--help']; from {module} import {function}"
            helped = _timed([sys.executable, "-c", f"{words}; sys.exit({function}())"])
            extra[program].append((helped[0] - bare[0], helped[1] - bare[1]))
    return extra


def _timed(command: list[str]) -> tuple[float, float]:
    """(wall, CPU) seconds of a child."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(command)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S).stdout


if __name__ == "__main__":
    sys.exit(main())
