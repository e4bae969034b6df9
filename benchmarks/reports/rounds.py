"""One round of a measurement: the samples of one process, and the state of the device meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.reports.plausible import require_times


@dataclass(frozen=True, kw_only=True)
class PhoneReading:
    """The state of the device at one moment of a round. None if the device does not report a value."""

    at_s: float
    """Seconds since the process of the round began."""
    khz: int | None
    """The clock of the slowest core that was measured on."""
    celsius: float | None
    """The temperature of the hottest core."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """The samples of one process, and the state of the device. Raises `ValueError` for impossible times."""

    samples_ms: tuple[float, ...]
    sampling_from_s: float
    """Seconds from the start of the process to the first sample."""
    readings: tuple[PhoneReading, ...] = ()
    state_before: Mapping[str, str | float] = field(default_factory=dict)
    rejected: str = ""
    """Why its samples do not count; empty if they count."""

    def __post_init__(self) -> None:
        require_times("samples of a round", self.samples_ms)
        moments = (self.sampling_from_s, *(reading.at_s for reading in self.readings))
        require_times("moments of a round", moments, zero=True)
