"""One round of a measurement: the samples of one process, and what the device was like meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.reports.plausible import require_times


@dataclass(frozen=True, kw_only=True)
class PhoneReading:
    """The device while it was measured. None for what it does not tell."""

    at_s: float
    """Since the round's process began."""
    khz: int | None
    """Of the slowest core that was measured on."""
    celsius: float | None
    """Of the hottest core."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One process that took samples, and the device before and in it; `ValueError` for impossible times."""

    samples_ms: tuple[float, ...]
    sampling_from_s: float
    """When its first sample began, since the process did."""
    readings: tuple[PhoneReading, ...] = ()
    state_before: Mapping[str, str | float] = field(default_factory=dict)
    rejected: str = ""
    """Why its samples do not count; empty if they do."""

    def __post_init__(self) -> None:
        require_times("samples of a round", self.samples_ms)
        moments = (self.sampling_from_s, *(reading.at_s for reading in self.readings))
        require_times("moments of a round", moments, zero=True)
