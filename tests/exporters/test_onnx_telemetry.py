"""Checking a file leaves nothing: ONNX Runtime 1.31 would write an identifier and a queue of reports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

TINY = Path(__file__).parents[1] / "benchmarks" / "models" / "tiny.onnx"
CODE = (
    "import sys; from exporters.onnx.run import session\n"
    "session(sys.argv[1], 'tiny'); import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
)


def test_nothing_is_written(tmp_path):
    silent = ("CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")  # would hide it anyway
    environment = {key: value for key, value in os.environ.items() if key not in silent}
    places = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(TINY)],
        env={**environment, **places},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "1\n", done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
