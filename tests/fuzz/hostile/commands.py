"""The real commands on a case: what a user sees of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hostile.arena import Arena
from hostile.outcome import ALLOWED, SEVERAL_LINES, Outcome
from hostile.readers import Reader
from hostile.seeds import Files

TIME_S = 120.0
"""Longer than any limit of the product for files as small as these."""


def run_command(reader: Reader, arena: Arena, files: Files, *more: str) -> Outcome:
    """Run the reader's command, with `more` words, in the folder of the case, and judge what it says."""
    arena.lay(files)
    program, *words = reader.command
    argv = [str(Path(sys.executable).with_name(program)), *words, *more]
    environment = {**os.environ, "TMPDIR": str(arena.scratch)}
    try:
        done = subprocess.run(argv, cwd=arena.case, env=environment, capture_output=True, timeout=TIME_S)
    except subprocess.TimeoutExpired:
        return Outcome("violation", "time: the command did not end")
    problem = arena.problem(files) or _problem(program, done)
    if problem:
        return Outcome("violation", f"{problem} @ {program}")
    kind = "clean" if done.returncode else "accepted"
    return Outcome(kind, f"{done.returncode} {_last_line(done)[:300]}")


def _problem(program: str, done: subprocess.CompletedProcess[bytes]) -> str:
    """What a user should not have seen; empty where there is nothing."""
    said = done.stderr.decode("utf-8", errors="surrogateescape")
    lines = [line for line in said.split("\n") if line]
    if done.returncode < 0:
        return f"signal: {-done.returncode}"
    if done.returncode != 0 and done.returncode not in ALLOWED:
        return f"status: {done.returncode} {said[:200]}"
    if "Traceback" in said or "internal error" in said:
        return f"exception: {said[-300:]}"
    if not all(line.isprintable() for line in [*lines, *done.stdout.decode("utf-8", "replace").split("\n")]):
        return f"unprintable: {said[:200]!r}"
    errors = [line for line in lines if line.startswith(f"{program}: ")]
    if done.returncode and (len(errors) != 1 or (lines[-1] != errors[0] and SEVERAL_LINES not in said)):
        return f"unprintable: not one line but {said[:300]!r}"
    return ""


def _last_line(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
