"""How to measure, as plain data. The plans of two reports must match before the reports are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mocovit_deploy.choices import CPUS, MAX_THREADS, RUNTIMES
from mocovit_deploy.errors import UsageError, unknown_choice

PHONE_RUNS, PHONE_MIN_S = 50, 10.0
"""The least inferences and seconds of a round on a phone, unless the user asks for less."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One measurement: the runtime, the number of inferences, and the longest duration.

    Warm-up ends when both `warmup_runs` and `warmup_min_s` are reached, sampling when both `runs` and
    `min_s` are. `deadline_s` ends everything, on the device too.

    Raises `UsageError` for a value out of its range.
    """

    runtime: str = "litert"
    threads: int = 1
    fp16_arithmetic: bool = False
    """Ask XNNPACK to compute an fp32 file in half precision (its FORCE_FP16)."""
    warmup_runs: int = 10
    warmup_min_s: float = 1.0
    runs: int = 50
    min_s: float = 2.0
    deadline_s: float = 600.0
    per_op: bool = False
    cpu: str | None = None
    """The core to emulate, one of `CPUS`; None on real hardware."""
    cores: str | None = None
    """The cores of a phone to run on: "prime", "big", "little" or a hexadecimal mask; None elsewhere."""

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES:
            raise unknown_choice("runtime", self.runtime, RUNTIMES)
        if self.cpu is not None and self.cpu not in CPUS:
            raise unknown_choice("cpu", self.cpu, CPUS)
        if not 1 <= self.threads <= MAX_THREADS:
            raise UsageError(f"threads is {self.threads}; give 1 to {MAX_THREADS}")
        if self.runs < 1 or self.warmup_runs < 0:
            raise UsageError(f"runs is {self.runs}, warmup_runs {self.warmup_runs}; give at least 1 and 0")
        for name in ("warmup_min_s", "min_s", "deadline_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name} is {value}; give a number of seconds, 0 or more")
        if self.deadline_s <= self.warmup_min_s + self.min_s:
            raise UsageError(
                f"a deadline of {self.deadline_s:g} s is not more than warm-up and sampling take at least "
                f"({self.warmup_min_s:g} + {self.min_s:g} s); raise --deadline-s"
            )


def counting_plan(
    *,
    cpu: str | None = CPUS[0],
    runtime: str = "litert",
    threads: int = 1,
    fp16_arithmetic: bool = False,
    per_op: bool = False,
    runs: int = 2,
    deadline_s: float = 600.0,
) -> Plan:
    """The plan for counting under emulation.

    There is one warm-up, which packs weights and must not be counted, and two inferences. Counts do not
    scatter, so more would cost time for nothing; the second shows that they agree.
    """
    return Plan(
        runtime=runtime,
        threads=threads,
        fp16_arithmetic=fp16_arithmetic,
        per_op=per_op,
        cpu=cpu,
        warmup_runs=1,
        warmup_min_s=0.0,
        runs=runs,
        min_s=0.0,
        deadline_s=deadline_s,
    )
