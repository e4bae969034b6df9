"""What is known of one export, as plain data: all that its page and its card show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mocovit_deploy.artifacts.readiness import Readiness
from mocovit_deploy.report.curves import Curve
from mocovit_deploy.report.digits import figure, within


@dataclass(frozen=True, kw_only=True)
class Rewriting:
    """A pass over the network, or a format's rewrite of it."""

    name: str
    changes: tuple[tuple[str, str], ...]
    """Module path, and what was done there."""
    error: float | None
    """Largest difference in float64, of the output's range; None if nothing was changed."""
    refusals: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class LayerFacts:
    """The layers of one file beside the original's; or why they were not compared."""

    curve: Curve
    modules: tuple[str, ...] = ()
    """Of each error of the curve."""
    verdict: str = "not run"
    reason: str = ""
    without: int = 0
    """Layers that the file has no value of."""


@dataclass(frozen=True, kw_only=True)
class AccuracyFacts:
    """One file beside the original on labelled images. Shares from 0 to 1, drops in points."""

    images: int
    right: float
    original_right: float
    drop_points: float
    low_points: float
    high_points: float
    agreement: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one inference takes on a target, counted or timed; or why that is not known."""

    target: str
    runtime: str = ""
    instructions: int | None = None
    modelled_ms: float | None = None
    """Made of counts, and not measured."""
    median_ms: float | None = None
    """Measured, with its 95 % interval."""
    low_ms: float | None = None
    high_ms: float | None = None
    why_not: str = ""
    exit_status: int = 0
    """Of a measurement that failed."""

    @property
    def milliseconds(self) -> float | None:
        """Measured, else modelled."""
        return self.modelled_ms if self.median_ms is None else self.median_ms

    @property
    def said(self) -> str:
        """In words, no finer than it is known."""
        if self.why_not:
            return f"not measured, {self.why_not}"
        counted = "" if self.instructions is None else f"{self.instructions / 1e6:,.1f} M instructions"
        return ", ".join(filter(None, (self.time, counted)))

    @property
    def time(self) -> str:
        """The milliseconds in words, no finer than they are known; empty if there are none."""
        if self.median_ms is None:
            return "" if self.modelled_ms is None else f"{self.modelled_ms:.2g} ms modelled, not measured"
        if self.low_ms is None or self.high_ms is None:
            return f"{figure(self.median_ms)} ms on {self.target}"
        return f"{within(self.median_ms, self.low_ms, self.high_ms)} ms on {self.target}"


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """One file that was asked for."""

    name: str
    """Empty if nothing was written."""
    format: str
    recipe: str
    verdict: str
    reason: str
    error: str = ""
    """Why the export counts it as failed; empty if it does not."""
    size_bytes: int = 0
    sha256: str = ""
    runtime: str = ""
    arithmetic: str = ""
    max_error: float | None = None
    own_error: float | None = None
    """Of the original in float32, against its float64."""
    sqnr_db: float | None = None
    top1: float | None = None
    tolerance: float | None = None
    samples: int = 0
    not_run: str = ""
    flips: tuple[str, ...] = ()
    random_ranges: bool = False
    """Whether ranges of activations were taken from made-up inputs."""
    rewrites: tuple[Rewriting, ...] = ()
    execution: str = ""
    """How the runtime will share its operators, in words."""
    operators: Mapping[str, int] = field(default_factory=dict)
    """Of the file, by kind."""
    weights_by_block: Mapping[str, int] = field(default_factory=dict)
    """Bytes of constants in the file; empty if the format does not tell."""
    readiness: tuple[Readiness, ...] = ()
    layers: LayerFacts | None = None
    accuracy: AccuracyFacts | None = None
    cost: Cost | None = None
    candidates: tuple[tuple[str, ...], ...] = ()
    """Rows of what it was chosen from, a header first."""
    why_chosen: str = ""
    notes: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether it is proven and was not refused."""
        return bool(self.name) and self.verdict == "pass" and not self.error


@dataclass(frozen=True, kw_only=True)
class BlockFacts:
    """One block of the original network."""

    block: str
    parameters: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class ExportFacts:
    """One call of mocovit-export."""

    model: str
    weights: str
    trained: bool
    inputs: str
    preprocessing: str
    labels: tuple[str, ...] = ()
    said: Mapping[str, str] = field(default_factory=dict)
    """Author, licence, version and description, as the user gave them."""
    passes: tuple[Rewriting, ...] = ()
    operations: tuple[Mapping[str, int], Mapping[str, int]] = ({}, {})
    """Of the graph, by kind, before the passes and after them."""
    blocks: tuple[BlockFacts, ...] = ()
    files: tuple[FileFacts, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    max_drop_points: float = 0.5
    """Accuracy that a file may lose and still be recommended, by the upper end of its interval."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Command, date, commit, machine, versions."""
