"""A sweep on a Ray cluster of two nodes on this machine, of which one dies while it works.

    python tests/helpers/lost_node.py SWEEP.toml FOLDER

Ends with the status of `mocovit-export --sweep SWEEP.toml --ray ADDRESS --output-dir FOLDER`. Needs Ray. Says
on standard error that the node is dead, and which networks were begun by then.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

DEADLINE_S = 7200.0


def main(words: Sequence[str]) -> int:
    from ray.cluster_utils import Cluster

    sweep, folder = map(Path, words)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        command = [sys.executable, "-m", "mocovit_deploy", "--sweep", str(sweep), "--ray", cluster.address]
        child = subprocess.Popen([*command, "--output-dir", str(folder)])
        try:
            _wait_until_both_work(child, folder)
            cluster.remove_node(second, allow_graceful=False)
            left = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir()))
            sys.stderr.write(f"one of two nodes is dead; begun: {left}\n")
            return child.wait(timeout=DEADLINE_S)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    finally:
        cluster.shutdown()


def _wait_until_both_work(child: subprocess.Popen[bytes], folder: Path) -> None:
    """Until each node has begun a network of its own."""
    end = time.monotonic() + DEADLINE_S
    while len([path for path in folder.glob("*") if path.is_dir()]) < 2:
        if child.poll() is not None or time.monotonic() > end:
            raise SystemExit("the sweep ended before two networks were begun")
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
