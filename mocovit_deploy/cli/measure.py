"""mocovit-export --measure TARGET: time or count one inference of each proven file on a target."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.choices import RUNTIMES_OF
from mocovit_deploy.errors import DeployError
from mocovit_deploy.report.facts import Cost
from mocovit_deploy.report.order import percentile_bounds
from mocovit_deploy.targets import RunConditions, Target, load_target
from mocovit_deploy.terminal.progress import Stages

if TYPE_CHECKING:
    from mocovit_deploy.exporting.pipeline import ExportOutcome


class Measurements(NamedTuple):
    """What the files of an export cost on a target."""

    costs: dict[Path, Cost]
    """By the file's path, for every file that passed. The cost of a file that was not measured says why."""
    errors: list[DeployError]
    """Of files that could not be measured. A format that no runtime of the target reads is not an error."""


def measure_files(done: ExportOutcome, target_name: str, stages: Stages) -> Measurements:
    """Measure every file that passed on the target, one inference each."""
    target = load_target(target_name)
    found: dict[Path, Cost] = {}
    errors: list[DeployError] = []
    for outcome in done.outcomes:
        artifact = outcome.artifact
        if artifact is None or outcome.error is not None:
            continue
        if not RUNTIMES_OF.get(artifact.format):
            why = f"no runtime of {target_name} reads {artifact.format} files"
            found[artifact.path] = Cost(target=target_name, why_not=why)
            continue
        try:
            with stages(f"{target_name} {outcome.format} {outcome.recipe}"):
                found[artifact.path] = _measured(target, target_name, artifact)
        except DeployError as error:
            found[artifact.path] = Cost(target=target_name, why_not=str(error), exit_status=error.exit_status)
            errors.append(error)
    return Measurements(found, errors)


def _measured(target: Target, name: str, artifact: Artifact) -> Cost:
    golden, conditions = read_golden(artifact), RunConditions()
    if target.COUNTS:
        count = target.count(artifact, golden, conditions)
        return Cost(
            target=name,
            runtime=f"{count.runtime}, {count.arithmetic}",
            instructions=count.instructions,
            modelled_ms=count.modelled_ms,
        )
    times = target.take_times(artifact, golden, conditions)
    low, high = percentile_bounds(times.samples_ms, 50) or (None, None)
    return Cost(
        target=name,
        runtime=f"{times.runtime}, {times.arithmetic}",
        median_ms=median(times.samples_ms),
        low_ms=low,
        high_ms=high,
    )
