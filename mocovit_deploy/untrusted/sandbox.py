"""Run a function on the user's file in a child process that is limited in time and memory.

Runtimes, readers of formats and converters are C++: a damaged file, or an operation that nobody tried, can
make one crash, loop, or take all memory. In a child process this ends only the child; the command prints one
line and goes on. Arguments and results are plain JSON data, so nothing that the child returns is executed.

    call_in_child("mocovit_deploy.parity.sandboxed:child_check", {"path": "a.onnx"}, limits, ...)

The child is a new interpreter, not a fork: a fork is not safe where Apple's frameworks are loaded. `-P` keeps
the current folder, which may hold the untrusted file, out of the module path.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocovit_deploy import errors
from mocovit_deploy.files import size_bytes
from mocovit_deploy.untrusted.read import parse_json

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""
LARGEST_OUTPUT = 1 << 30
"""Bytes that a child may write to one file. What it prints goes to a temporary file."""


@dataclass(frozen=True)
class Wording:
    """The messages for a child that ended without an answer."""

    slow: str = "reading and running it did not end within {seconds:.0f} s and was stopped"
    crash: str = "what reads it crashed ({signal})"
    memory: str = "reading it needs more than {gib:.1f} GiB of memory"
    advice: str = "is the file damaged?"


OF_A_FILE = Wording()


@dataclass(frozen=True, kw_only=True)
class SandboxLimits:
    """What a child may use. The limit on memory holds on Linux only: macOS ignores such limits."""

    seconds: float
    """By the clock. Its processor time may be as long on every core."""
    memory_bytes: int
    """Of its own (anonymous) memory; mapped files do not count."""


BASE_S, S_PER_MB = 60.0, 4.0
BASE_MEMORY_BYTES, MEMORY_FACTOR = 2 << 30, 16


def limits_for(*paths: Path, deadline_s: float | None = None) -> SandboxLimits:
    """Limits that grow with the sizes of the files: 60 s and 4 s per MB, 2 GiB and 16 times their bytes.

    `mocovit_1_0` takes at most a twentieth of the time and a sixth of the memory, in Core ML.
    `deadline_s` replaces the seconds.
    """
    size = 0
    for path in paths:
        with contextlib.suppress(OSError):  # the child's reader of the file reports what is wrong with it
            size += size_bytes(path)
    seconds = BASE_S + S_PER_MB * size / 1e6 if deadline_s is None else deadline_s
    return SandboxLimits(seconds=seconds, memory_bytes=BASE_MEMORY_BYTES + MEMORY_FACTOR * size)


def call_in_child(
    target: str,
    arguments: Mapping[str, Any],
    limits: SandboxLimits,
    *,
    subject: object,
    failure: type[errors.DeployError],
    verbose: bool,
    wording: Wording = OF_A_FILE,
) -> Any:
    """Call `function(**arguments)` in a child, for `target` "package.module:function"; returns its JSON data.

    Errors of `errors.py` that the function raises are raised here again. A crash, a time-out and too much
    memory raise `failure` with a message that names `subject`. Any other error is a `RuntimeError`. With
    `verbose`, what the child printed goes to stderr.
    """
    from mocovit_deploy.untrusted.process import run_process, signal_name

    with tempfile.TemporaryDirectory(prefix="mocovit-guarded-") as folder:
        answer = Path(folder) / "answer.json"
        order = {
            "target": target,
            "arguments": dict(arguments),
            "answer": str(answer),
            "verbose": verbose,
            "seconds": limits.seconds,
            "memory_bytes": limits.memory_bytes,
            "parent": os.getpid(),
        }
        argv = [sys.executable, "-P", "-m", "mocovit_deploy.untrusted.sandbox", json.dumps(order)]
        done = run_process(argv, deadline_s=limits.seconds)
        if verbose:
            sys.stderr.write(done.stdout + done.stderr)
        told = answer.read_bytes() if answer.exists() else b""
    if done.timed_out or -done.status == signal.SIGXCPU:
        slow = wording.slow.format(seconds=limits.seconds)
        raise failure(f"{subject}: {slow}; {wording.advice}")
    if done.status < 0:
        crash = wording.crash.format(signal=signal_name(-done.status))
        raise failure(f"{subject}: {crash}; {wording.advice}")
    if done.status or not told:
        raise RuntimeError(f"the child that reads {subject} ended with status {done.status}: {done.reason()}")
    document = json.loads(told)
    if document["error"] is None:
        return document["result"]
    kind, message = document["error"], document["message"]
    if kind == MemoryError.__name__:
        memory = wording.memory.format(gib=limits.memory_bytes / 2**30)
        raise failure(f"{subject}: {memory}; {wording.advice}")
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, errors.DeployError):
        raise found(message)
    raise RuntimeError(f"{kind}: {message}")


def main(order: Mapping[str, Any]) -> int:
    """The child: set the limits, call the function, write its result or its error to the answer file."""
    from mocovit_deploy.terminal.quiet import quiet

    end_with_parent(order["parent"])
    _limit(SandboxLimits(seconds=order["seconds"], memory_bytes=order["memory_bytes"]))
    document: dict[str, Any] = {"error": None}
    try:
        with quiet(not order["verbose"]):
            module, _, name = order["target"].partition(":")
            document["result"] = getattr(importlib.import_module(module), name)(**order["arguments"])
    except Exception as error:  # noqa: BLE001 - the parent reports it
        document = {"error": _kind(error), "message": errors.first_line(error)}
        if isinstance(error, errors.DeployError):
            document["message"] = str(error)
        if order["verbose"]:
            traceback.print_exc()
    Path(order["answer"]).write_text(json.dumps(document), encoding="utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    # The answer is written. A runtime that read a damaged file may still crash while it is torn down.
    os._exit(0)


def _kind(error: BaseException) -> str:
    """The name of the nearest class of `errors.py` that `error` is an instance of, else of its own class."""
    if _out_of_memory(error):
        return MemoryError.__name__
    known = (one for one in type(error).__mro__ if one.__module__ == errors.__name__)
    return next(known, type(error)).__name__


def _out_of_memory(error: BaseException) -> bool:
    while True:
        if isinstance(error, MemoryError) or "bad_alloc" in str(error):
            return True
        if error.__cause__ is None:
            return False
        error = error.__cause__


def end_with_parent(parent: int) -> None:
    """Let Linux kill this process when `parent` ends, even if `parent` is killed (SIGKILL).

    On other systems the child runs to its end, or to its limits.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def _limit(limits: SandboxLimits) -> None:
    import resource

    processor_s = int(limits.seconds * (os.cpu_count() or 1)) + 1
    for kind, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, processor_s),
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, LARGEST_OUTPUT),
    ):
        _, hard = resource.getrlimit(kind)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # a system without this limit
            resource.setrlimit(kind, (allowed, hard))


if __name__ == "__main__":
    sys.exit(main(parse_json(sys.argv[1].encode())))
