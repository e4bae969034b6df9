"""Children: what they say is kept, their time is limited, nothing of them stays."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from mocovit_deploy.untrusted.process import run_process, signal_name


def test_output_and_status_are_kept() -> None:
    done = run_process(
        [sys.executable, "-c", "import sys; print('out'); print('why', file=sys.stderr); sys.exit(3)"],
        deadline_s=30,
    )
    assert (done.status, done.stdout, done.ok) == (3, "out\n", False)
    assert done.reason() == "why"


def test_a_death_by_signal_is_named() -> None:
    done = run_process([sys.executable, "-c", "import os; os.kill(os.getpid(), 11)"], deadline_s=30)
    assert done.status == -11
    assert "SIGSEGV" in done.reason()


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="no real-time signals here")
def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    unnamed = int(signal.SIGRTMIN) + 3
    done = run_process([sys.executable, "-c", f"import os; os.kill(os.getpid(), {unnamed})"], deadline_s=30)
    assert done.reason() == f"it was ended by signal {unnamed}"
    assert signal_name(signal.SIGKILL) == "SIGKILL"


def test_a_child_that_hangs_is_ended_with_all_that_it_started() -> None:
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    begun = time.monotonic()
    done = run_process([sys.executable, "-c", program], deadline_s=2)
    assert done.timed_out
    assert not done.ok
    assert time.monotonic() - begun < 20
    grandchild = int(done.stdout)
    for _ in range(50):
        if not _alive(grandchild):
            return
        time.sleep(0.1)
    pytest.fail("the grandchild outlived its group")


def test_a_missing_program_is_an_error_at_once() -> None:
    with pytest.raises(FileNotFoundError):
        run_process(["/no/such/program"], deadline_s=5)


def _alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its parent to look does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
