"""What a bound is: its word, how it is measured, which side of it is right, and how numbers are shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mocovit_deploy.errors import DeployError, UsageError

if TYPE_CHECKING:
    from mocovit_deploy.contract.evidence import Evidence


@dataclass(frozen=True)
class Measured:
    """One number about one file."""

    value: float
    by: str
    """What computed it, as in "onnxruntime 1.31.1, fp32"."""
    detail: str = ""
    """Where, or on what, in words."""
    constant: float | None = None
    """What an output that never changes would score: a bound that it meets proves nothing. None if that
    question does not arise."""


@dataclass(frozen=True)
class Unit:
    """How the numbers of a bound are written, and which of them can be meant."""

    show: Callable[[float], str]
    whole: bool
    largest: float | None = None


ERROR = Unit("{:.1e}".format, whole=False, largest=1.0)
DECIBELS = Unit("{:.1f} dB".format, whole=False)
SHARE = Unit("{:.2%}".format, whole=False, largest=1.0)
COUNT = Unit("{:,.0f}".format, whole=True)
BYTES = Unit("{:,.0f} bytes".format, whole=True)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A word that a file in a contract may bound: `max_` at most, `min_` at least, any other exactly."""

    measure: Callable[[Evidence], Measured]
    """Its name is the word of the contract, its docstring what the word means."""
    unit: Unit
    fails: type[DeployError]
    """What a miss raises, and with it the exit status."""
    formats: tuple[str, ...]
    needs: tuple[str, ...] = ()
    """Other words of the contract that it cannot do without."""
    targets: tuple[str, ...] = ("host", "emulated")
    of_outputs: bool = False
    """It compares the outputs for the golden inputs, so the arithmetic they were computed in matters."""

    @property
    def word(self) -> str:
        return self.measure.__name__

    @property
    def way(self) -> str:
        return {"max": "at most", "min": "at least"}.get(self.word.partition("_")[0], "exactly")

    def limit(self, value: object) -> float:
        """`value` as a bound. Raises `UsageError` unless it is a number that can be met, and missed."""
        kinds = (int,) if self.unit.whole else (int, float)
        if type(value) not in kinds:
            raise UsageError(f"{value!r} is not a {'whole ' if self.unit.whole else ''}number")
        assert isinstance(value, int | float)
        if not math.isfinite(value) or value < 0:
            raise UsageError(f"{value} is not a finite number, 0 or more")
        if self.unit.largest is not None and value > self.unit.largest:
            raise UsageError(f"{value} is more than {self.unit.largest:g}, the largest there is")
        never_missed = 0 if self.way == "at least" else self.unit.largest
        if never_missed is not None and value == never_missed and self.way != "exactly":
            raise UsageError(f"{value} is a bound that every file meets; leave it out")
        return float(value)

    def margin(self, value: float, limit: float) -> float:
        """How far `value` is on the right side of `limit`; negative on the wrong one, NaN for NaN."""
        if self.way == "at most":
            return limit - value
        return value - limit if self.way == "at least" else 0.0 - abs(value - limit)

    def holds(self, value: float, limit: float) -> bool:
        """False for NaN."""
        return self.margin(value, limit) >= 0

    def shown_bound(self, limit: float) -> str:
        return f"{self.way} {self.unit.show(limit)}"
