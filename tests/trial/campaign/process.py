"""Run work in forks of this process, which has everything imported: a case costs what it does, no more.

A fork has its own folder, its own process group, files for what it prints and a limit of time; whatever it
does, this process goes on. Nothing here may use torch before it forks: threads do not survive a fork.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEAVY = ("torch", "numpy", "onnx", "onnxruntime", "onnxsim", "onnxscript", "coremltools")


@dataclass(frozen=True)
class Done:
    """What became of a fork."""

    status: int
    """Exit status; minus the signal's number when a signal ended it."""
    stdout: str
    stderr: str
    seconds: float
    in_time: bool


def prepare(*more: str) -> None:
    """Import what the forks will need."""
    from mocovit_deploy.terminal.quiet import quiet

    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    with quiet():
        for name in (*HEAVY, *more):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def forked(work: Callable[[], int], folder: Path, deadline_s: float) -> Done:
    """Run `work` in a fork that stands in `folder`; its result is the exit status."""
    start = time.monotonic()
    outputs = [folder / ".stdout", folder / ".stderr"]
    child = os.fork()
    if child == 0:
        _in_child(work, folder, outputs)
    in_time, status = _wait(child, start + deadline_s)
    texts = [path.read_text(errors="replace") if path.exists() else "" for path in outputs]
    for path in outputs:
        path.unlink(missing_ok=True)
    return Done(status, *texts, time.monotonic() - start, in_time)


def _in_child(work: Callable[[], int], folder: Path, outputs: Sequence[Path]) -> None:
    status = 70
    try:
        os.setsid()
        os.chdir(folder)
        for descriptor, path in zip((1, 2), outputs, strict=True):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(opened, descriptor)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
        import torch

        torch.set_num_threads(1)
        status = work()
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001 - told by what it prints, and by its status
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _wait(child: int, until: float) -> tuple[bool, int]:
    pause = 0.005
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return True, os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(2 * pause, 0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return False, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def command(program: str, words: Sequence[str]) -> Callable[[], int]:
    """The real command, from its words to its exit status."""

    def work() -> int:
        from mocovit_deploy.cli import main

        sys.argv = [program, *words]
        return {"mocovit-export": main.export_main, "mocovit-parity": main.parity_main}[program]()

    return work


def answer(question: Callable[[], Any], folder: Path, deadline_s: float) -> tuple[Any, Done]:
    """What `question` gives in a fork, as plain data; None where it did not come to that."""
    path = folder / ".answer"
    path.unlink(missing_ok=True)

    def work() -> int:
        path.write_text(json.dumps(question()))
        return 0

    done = forked(work, folder, deadline_s)
    found = json.loads(path.read_text()) if done.status == 0 and path.exists() else None
    path.unlink(missing_ok=True)
    return found, done
