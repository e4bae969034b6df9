"""Running a program that may never end, or print without end, with limits on time and on output."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mocovit_deploy.untrusted.process import end_group

_CHUNK = 1 << 16


@dataclass(frozen=True)
class Said:
    """The result of a program that ended by itself, or was stopped at a limit."""

    status: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    too_much: bool = False
    """True if it was stopped because it printed more than it was allowed."""


def run_bounded(argv: Sequence[str], *, deadline_s: float, most_bytes: int) -> Said:
    """Run `argv`, for at most `deadline_s` seconds and `most_bytes` of output in all.

    Raises `OSError` if it cannot be started. No process of it is left when this returns or raises.
    """
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    end = time.monotonic() + deadline_s
    try:
        said, why = _read(child, end, most_bytes)
        if not why:
            try:
                child.wait(timeout=max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:  # it closed its output and goes on
                why = "time"
        if why:
            end_group(child)
        return Said(child.wait(), said[0], said[1], timed_out=why == "time", too_much=why == "bytes")
    except BaseException:  # an interrupt, too, must not leave the child running
        end_group(child)
        child.wait()
        raise
    finally:
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def _read(child: subprocess.Popen[bytes], end: float, most_bytes: int) -> tuple[tuple[bytes, bytes], str]:
    """The output of the child until it closes both streams, and the limit it met: "time", "bytes" or ""."""
    assert child.stdout is not None
    assert child.stderr is not None
    said = {child.stdout.fileno(): bytearray(), child.stderr.fileno(): bytearray()}
    why = ""
    with selectors.DefaultSelector() as waiting:
        for descriptor in said:
            waiting.register(descriptor, selectors.EVENT_READ)
        while waiting.get_map() and not why:
            ready = waiting.select(timeout=max(0.0, end - time.monotonic()))
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK)
                said[key.fd] += chunk
                if not chunk:
                    waiting.unregister(key.fd)
            if sum(map(len, said.values())) > most_bytes:
                why = "bytes"
            elif time.monotonic() >= end and waiting.get_map():
                why = "time"
    stdout, stderr = (bytes(text) for text in said.values())
    return (stdout, stderr), why
