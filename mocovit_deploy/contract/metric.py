"""What a bound is: its name, how it is measured, which side of it passes, and how its numbers are shown."""

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
    """One measured number about one file."""

    value: float
    by: str
    """What computed it, as in "onnxruntime 1.31.1, fp32"."""
    detail: str = ""
    """The output, the sample or the operators it comes from, for people."""
    constant: float | None = None
    """The value for an output that never changes; a bound that it meets proves nothing. None if the bound is
    not about outputs, or there is a single sample.
    """


@dataclass(frozen=True)
class Unit:
    """How the numbers of a bound are written, and which numbers are possible."""

    show: Callable[[float], str]
    whole: bool
    """Whether a bound must be a whole number."""
    largest: float | None = None
    """The largest possible value; None if there is none."""


ERROR = Unit("{:.1e}".format, whole=False, largest=1.0)
DECIBELS = Unit("{:.1f} dB".format, whole=False)
SHARE = Unit("{:.2%}".format, whole=False, largest=1.0)
COUNT = Unit("{:,.0f}".format, whole=True)
BYTES = Unit("{:,.0f} bytes".format, whole=True)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A bound that a contract may set on a file: `max_` means at most, `min_` at least, others exactly."""

    measure: Callable[[Evidence], Measured]
    """Its name is the bound's name in the contract; its docstring says what the bound means."""
    unit: Unit
    fails: type[DeployError]
    """The error that a miss raises; it decides the exit status."""
    formats: tuple[str, ...]
    """The formats whose files it can be measured on."""
    needs: tuple[str, ...] = ()
    """Other keys of the contract that it needs."""
    targets: tuple[str, ...] = ("host", "emulated")
    of_outputs: bool = False
    """Whether it compares outputs for the golden inputs, so that the arithmetic matters."""

    @property
    def word(self) -> str:
        """The bound's name in the contract."""
        return self.measure.__name__

    @property
    def way(self) -> str:
        """ "at most", "at least" or "exactly"."""
        return {"max": "at most", "min": "at least"}.get(self.word.partition("_")[0], "exactly")

    def limit(self, value: object) -> float:
        """`value` as a bound. Raises `UsageError` unless it is a number that files can meet and can miss."""
        kinds = (int,) if self.unit.whole else (int, float)
        if type(value) not in kinds:
            raise UsageError(f"{value!r} is not a {'whole ' if self.unit.whole else ''}number")
        assert isinstance(value, int | float)
        if not math.isfinite(value) or value < 0:
            raise UsageError(f"{value} is not a finite number, 0 or more")
        if self.unit.largest is not None and value > self.unit.largest:
            raise UsageError(f"{value} is more than {self.unit.largest:g}, the largest possible value")
        never_missed = 0 if self.way == "at least" else self.unit.largest
        if never_missed is not None and value == never_missed and self.way != "exactly":
            raise UsageError(f"{value} is a bound that every file meets; set a tighter one, or leave it out")
        return float(value)

    def margin(self, value: float, limit: float) -> float:
        """How far `value` is on the passing side of `limit`; negative on the other side, NaN for NaN."""
        if self.way == "at most":
            return limit - value
        return value - limit if self.way == "at least" else 0.0 - abs(value - limit)

    def holds(self, value: float, limit: float) -> bool:
        """Whether `value` meets the bound `limit`; False for NaN."""
        return self.margin(value, limit) >= 0

    def shown_bound(self, limit: float) -> str:
        """The bound for people, as in "at most 1.0e-05"."""
        return f"{self.way} {self.unit.show(limit)}"
