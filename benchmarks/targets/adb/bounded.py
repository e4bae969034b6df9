"""Run a program that may say far too much or never end, and keep at most so many bytes of what it says."""

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
    """A program that ended, by itself or because it went too far."""

    status: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False
    too_much: bool = False
    """It said more than it was allowed to, and was stopped."""


def run_bounded(argv: Sequence[str], *, deadline_s: float, most_bytes: int) -> Said:
    """Run `argv` to its end, at most `deadline_s` seconds and `most_bytes` of output in all.

    Raises `OSError` when it cannot be started. Nothing of it is left when this returns or raises.
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
    """What the child says until it closes both streams, and "time" or "bytes" if that went too far."""
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
