"""The options that studies share."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["zoo", "half", "ready", "fast"])
def test_a_pattern_that_is_like_no_row_is_refused(name, tmp_path):
    words = [
        sys.executable,
        "-m",
        f"benchmarks.studies.{name}",
        "--only",
        "nothing*",
        "--folder",
        tmp_path / "f",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "no row is like 'nothing*' (there are " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "f").exists()
