"""What the files of one export share, and what becomes of each: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, fx

from mocovit_deploy.accuracy.breakdown import Breakdown
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import DeployError
from mocovit_deploy.exporting.answers import OriginalAnswers
from mocovit_deploy.exporting.reference import Reference
from mocovit_deploy.exporting.schemes import Schemes
from mocovit_deploy.exporting.staging import Staging
from mocovit_deploy.exporting.suppressed import SuppressedFile
from mocovit_deploy.formats import Written
from mocovit_deploy.layers.branches import Inside
from mocovit_deploy.models.load import Network
from mocovit_deploy.parity.verdict import ParityReport
from mocovit_deploy.passes.result import PassResult
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.search.candidate import Candidate
from mocovit_deploy.spec import ExportRequest
from mocovit_deploy.terminal.progress import Stages


@dataclass(frozen=True)
class Outcome:
    """One file that was written, judged and published; or the error that prevented it."""

    format: str
    recipe: str
    artifact: Artifact | None
    """None if nothing was written; a rejected file has both an artifact and an error."""
    report: ParityReport
    error: DeployError | None
    notes: tuple[str, ...] = ()
    accuracy: Breakdown | None = None
    """None if there are no labelled images, or the file failed before."""
    app_code: tuple[Path, ...] = ()
    """Code that loads the file, beside it."""
    suppressed: SuppressedFile | None = None
    """A second file, which suppresses a detector's boxes itself."""
    candidates: tuple[Candidate, ...] = ()
    """The candidates that a search chose it from; empty without a search."""
    why_chosen: str = ""


@dataclass(frozen=True, kw_only=True)
class ExportContext:
    """What all files of one export share."""

    request: ExportRequest
    network: Network
    reference: Reference
    calibrated: Reference
    """The same on calibration images, for files with fixed ranges; `reference` if there are none."""
    captured: fx.GraphModule
    """The network before the passes."""
    passes: PassResult
    example: tuple[Tensor, ...]
    staging: Staging
    stages: Stages
    inside: Inside
    answers: OriginalAnswers | None
    """None if files are not compared on labelled images."""
    schemes: Schemes
    """How graphs are quantized, for recipes that quantize."""

    def reference_of(self, recipe: str) -> Reference:
        """What files of a recipe are judged against."""
        return self.calibrated if recipe_named(recipe).is_static else self.reference


@dataclass(frozen=True)
class Proven:
    """A file in the staging folder with its verdict, not yet published."""

    artifact: Artifact
    golden: Golden
    written: Written
    report: ParityReport
    notes: tuple[str, ...] = ()
