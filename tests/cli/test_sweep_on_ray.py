"""--sweep --ray on a cluster of two nodes, of which one dies: the table of a sweep on this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SWEEP = """
format = ["onnx", "tflite"]
image_size = 32

[[system]]
name = "one"
model = "tiny_networks:tiny"

[[system]]
name = "two"
model = "tiny_networks:tiny"
seed = 1

[[system]]
name = "three"
model = "tiny_networks:tiny"
seed = 2
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_lost_node_leaves_the_same_table(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed; run: pip install '.[ray]'")
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP)
    shown = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "helpers")])
    environment = {**os.environ, "PYTHONPATH": shown}
    lost, whole = tmp_path / "lost", tmp_path / "whole"
    for command in (
        [str(ROOT / "tests" / "helpers" / "lost_node.py"), str(path), str(lost)],
        ["-m", "mocovit_deploy", "--sweep", str(path), "--output-dir", str(whole)],
    ):
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, timeout=550, env=environment
        )
        assert done.returncode == 0, done.stderr
        if "lost_node" in command[0]:
            assert "one of two nodes is dead" in done.stderr
    assert (lost / "sweep.csv").read_bytes() == (whole / "sweep.csv").read_bytes()
    assert (lost / "sweep.json").read_bytes() == (whole / "sweep.json").read_bytes()
