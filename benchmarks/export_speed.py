"""How long the export of mocovit_1_0 takes, stage by stage, each run in a process of its own.

    python benchmarks/export_speed.py [--rounds N] [--baseline]

Prints medians over the rounds beside their budgets. `--help` is measured against bare Python, turn and turn
about, because what matters is the difference. `--baseline` adds litert-torch on the network as it is,
neither captured nor folded by us.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from mocovit_deploy.table import megabytes, table

# stage, what is added up for it, budget in seconds
BUDGETS = (
    ("capture", ("capture",), 3.0),
    ("passes, with proofs", ("passes",), 3.0),
    ("ONNX", ("onnx fp32",), 4.0),
    ("TFLite", ("tflite fp32",), 10.0),
)
HELP_BUDGET_S = 0.1
TIMEOUT_S = 600

BASELINE = """
import json, time, torch, litert_torch
from mocovit_deploy.models.load import load_network
from mocovit_deploy.spec import ModelSpec
module = load_network(ModelSpec()).module
start = time.perf_counter()
litert_torch.to_channel_last_io(module, args=[0])
litert_torch.convert(litert_torch.to_channel_last_io(module, args=[0]).eval(), (torch.zeros(1, 224, 224, 3),))
print(json.dumps(time.perf_counter() - start))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--baseline", action="store_true", help="also litert-torch on the unfolded network")
    given = parser.parse_args()
    reports = [_export() for _ in range(given.rounds)]
    rows = []
    for name, stages, budget_s in BUDGETS:
        taken = [sum(report["seconds"][stage] for stage in stages) for report in reports]
        rows.append((name, f"{statistics.median(taken):.1f} s", f"{min(taken):.1f} s", f"{budget_s:.1f} s"))
    rows.append(("--help over bare Python", *_help_over_python(20), f"{HELP_BUDGET_S * 1e3:.0f} ms"))
    for name in ("imports", "request", "network", "reference", "parity onnx fp32", "parity tflite fp32"):
        taken = [report["seconds"][name] for report in reports]
        rows.append((name, f"{statistics.median(taken):.1f} s", f"{min(taken):.1f} s", "-"))
    if given.baseline:
        taken = [float(_run([sys.executable, "-c", BASELINE]).splitlines()[-1]) for _ in range(given.rounds)]
        rows.append(
            ("litert-torch, unfolded", f"{statistics.median(taken):.1f} s", f"{min(taken):.1f} s", "-")
        )
    peak = max(report["peak_memory_bytes"] for report in reports)
    sys.stdout.write(
        table(("stage", "median", "least", "budget"), rows) + f"\npeak memory {megabytes(peak)}\n"
    )
    return 0


def _export() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = "import sys; from mocovit_deploy.cli import export_main; sys.exit(export_main())"
        report: dict[str, Any] = json.loads(
            _run([sys.executable, "-c", command, "--json", "--output-dir", folder])
        )
    return report


def _help_over_python(rounds: int) -> tuple[str, str]:
    """Median and least extra wall time of --help over `python -c pass`, alternating."""
    main = "from mocovit_deploy.cli import export_main; export_main()"
    extra_s = []
    for _ in range(rounds):
        start = time.perf_counter()
        _run([sys.executable, "-c", "pass"])
        bare = time.perf_counter() - start
        start = time.perf_counter()
        _run([sys.executable, "-c", f"import sys; sys.argv[1:] = ['--help']; {main}"])
        extra_s.append(time.perf_counter() - start - bare)
    return f"{statistics.median(extra_s) * 1e3:.0f} ms", f"{min(extra_s) * 1e3:.0f} ms"


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S).stdout


if __name__ == "__main__":
    sys.exit(main())
