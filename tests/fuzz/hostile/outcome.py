"""What became of a hostile file, and of all of them.

clean      an error of mocovit_deploy/errors.py with a status a user may see, in one line
accepted   read to its end
contained  crashed, hung or ran out of memory, in a reader that the product runs in a child
violation  anything else:

    exception    an error that is none of ours: a traceback, or an internal error with status 1
    status       an error of ours whose status means something else
    unprintable  a message of several lines, but for the one that lists what is wrong
    signal       a crash outside a guarded child
    time         longer than it was given, outside a guarded child
    memory       more than its limit, outside a guarded child
    outside      a file written, outside the folder of the case or in it
    code         the canary: something in the file was executed
"""

from __future__ import annotations

from dataclasses import dataclass, field

ALLOWED = (2, 3, 4, 7, 8)
"""Exit statuses of mocovit_deploy/errors.py that a file may end in."""

SEVERAL_LINES = "does not fit the network"
"""The one error that lists what is wrong line by line."""


@dataclass(frozen=True)
class Outcome:
    """What became of one case."""

    kind: str
    """One of the words above."""
    detail: str
    seconds: float = 0.0
    """Of the processor's time."""
    memory_bytes: int = 0

    @property
    def signature(self) -> str:
        """Two cases with one signature are one problem."""
        return f"{self.kind}: {self.detail.partition(' @ ')[2] or self.detail}"[:200]


@dataclass
class Tally:
    """What became of all cases of a reader."""

    inputs: int = 0
    clean: int = 0
    accepted: int = 0
    commands: int = 0
    """How many of them the real command was run on as well."""
    contained: dict[str, int] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=dict)
    longest_s: float = 0.0
    peak_memory_bytes: int = 0

    def add(self, outcome: Outcome) -> None:
        self.inputs += 1
        self.longest_s = max(self.longest_s, outcome.seconds)
        self.peak_memory_bytes = max(self.peak_memory_bytes, outcome.memory_bytes)
        if outcome.kind == "clean":
            self.clean += 1
        elif outcome.kind == "accepted":
            self.accepted += 1
        else:
            counts = self.contained if outcome.kind == "contained" else self.violations
            counts[outcome.signature] = counts.get(outcome.signature, 0) + 1
