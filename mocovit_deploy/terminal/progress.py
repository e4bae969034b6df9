"""Stages of long work: their names, their seconds, and progress on a terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

from mocovit_deploy.terminal.interrupts import raise_if_interrupted


@dataclass
class Stages:
    """`with stages("capture"): ...` shows the stage on a terminal and adds up the seconds it took."""

    terminal: TextIO | None = None
    """Where to show progress; None for silence."""
    seconds: dict[str, float] = field(default_factory=dict)
    """By the clock, for each stage."""
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    """Processor time of all threads of this process, which other processes hardly change."""

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        raise_if_interrupted()
        self.show(f"{name} ...")
        start, start_cpu = time.perf_counter(), time.process_time()
        try:
            yield
            raise_if_interrupted()
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + time.process_time() - start_cpu
            self.show(f"{name} {spent:.1f} s\n")

    def show(self, text: str) -> None:
        """Replace the terminal's current line by `text`."""
        if self.terminal is not None:
            self.terminal.write(f"\r\x1b[K{text}")
            self.terminal.flush()
