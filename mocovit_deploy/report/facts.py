"""The facts of one export as plain data, for its page and its card."""

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
    """(module path, what was done there)."""
    error: float | None
    """Largest difference in float64, relative to the output's range; None if nothing was changed."""
    refusals: tuple[tuple[str, str], ...] = ()
    """(module path, why it was left unchanged)."""


@dataclass(frozen=True, kw_only=True)
class LayerFacts:
    """The comparison of one file's layers with the original's; or why they were not compared."""

    curve: Curve
    modules: tuple[str, ...] = ()
    """The module of each error of the curve."""
    verdict: str = "not run"
    reason: str = ""
    without: int = 0
    """The number of layers that the file has no value of."""


@dataclass(frozen=True, kw_only=True)
class AccuracyFacts:
    """One file compared with the original on labelled images.

    Shares are 0 to 1, drops are in percentage points.
    """

    images: int
    right: float
    """The share of images on which the file is right."""
    original_right: float
    """The share of images on which the original is right."""
    drop_points: float
    low_points: float
    """The lower end of the drop's 95 % interval."""
    high_points: float
    """The upper end of the drop's 95 % interval."""
    agreement: float
    """The share of images on which both answer the same class."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one inference on a target, counted or timed; or why it is not known."""

    target: str
    runtime: str = ""
    instructions: int | None = None
    modelled_ms: float | None = None
    """Modelled from counts, not measured."""
    median_ms: float | None = None
    """Measured."""
    low_ms: float | None = None
    """The lower end of the median's 95 % interval."""
    high_ms: float | None = None
    """The upper end of the median's 95 % interval."""
    why_not: str = ""
    """Why there is no cost; empty if there is one."""
    exit_status: int = 0
    """The exit status of a measurement that failed; else 0."""

    @property
    def milliseconds(self) -> float | None:
        """The measured milliseconds, else the modelled ones; None without either."""
        return self.modelled_ms if self.median_ms is None else self.median_ms

    @property
    def said(self) -> str:
        """The cost as text, with no more digits than are known."""
        if self.why_not:
            return f"not measured, {self.why_not}"
        counted = "" if self.instructions is None else f"{self.instructions / 1e6:,.1f} M instructions"
        return ", ".join(filter(None, (self.time, counted)))

    @property
    def time(self) -> str:
        """The milliseconds as text, with no more digits than are known; empty if there are none."""
        if self.median_ms is None:
            return "" if self.modelled_ms is None else f"{self.modelled_ms:.2g} ms modelled, not measured"
        if self.low_ms is None or self.high_ms is None:
            return f"{figure(self.median_ms)} ms on {self.target}"
        return f"{within(self.median_ms, self.low_ms, self.high_ms)} ms on {self.target}"


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """One requested file."""

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
    """The error of the original's own float32 output against its float64 one."""
    sqnr_db: float | None = None
    top1: float | None = None
    tolerance: float | None = None
    samples: int = 0
    not_run: str = ""
    flips: tuple[str, ...] = ()
    random_ranges: bool = False
    """Whether ranges of activations come from random inputs."""
    rewrites: tuple[Rewriting, ...] = ()
    execution: str = ""
    """How the runtime will divide its operators, as text."""
    operators: Mapping[str, int] = field(default_factory=dict)
    """The number of operators in the file, by kind."""
    weights_by_block: Mapping[str, int] = field(default_factory=dict)
    """Bytes of constants in the file, by block of the network; empty if the format does not tell."""
    readiness: tuple[Readiness, ...] = ()
    layers: LayerFacts | None = None
    accuracy: AccuracyFacts | None = None
    cost: Cost | None = None
    candidates: tuple[tuple[str, ...], ...] = ()
    """The rows of the candidates that a search chose it from, a header first."""
    why_chosen: str = ""
    notes: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether it passed its check and was not rejected for another reason."""
        return bool(self.name) and self.verdict == "pass" and not self.error


@dataclass(frozen=True, kw_only=True)
class BlockFacts:
    """The parameters and MACs of one block of the original network."""

    block: str
    parameters: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class ExportFacts:
    """The facts of one call of mocovit-export."""

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
    """The number of operations in the graph by kind: (before the passes, after them)."""
    blocks: tuple[BlockFacts, ...] = ()
    files: tuple[FileFacts, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    max_drop_points: float = 0.5
    """The most accuracy that a recommended file may lose, by the upper end of its interval."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Command, date, commit, machine, versions."""
