"""What every target is given besides the file and the plan, and what its own run gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from benchmarks.operators.profile import Executed
from benchmarks.reports.plan import Plan
from benchmarks.reports.report import LatencyReport, Report
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import ParityError, TransientDeviceError
from mocovit_deploy.targets import Target, load_target

if TYPE_CHECKING:
    from benchmarks.targets.adb.session import Session

Say = Callable[[str], None]
"""Told what is being done, line by line."""


class Judged(Protocol):
    """The two words of a parity report that measuring needs."""

    @property
    def verdict(self) -> str: ...
    @property
    def reason(self) -> str: ...


Verify = Callable[[Artifact, Golden, Mapping[str, Array], str, str], Judged]
"""(artifact, golden, outputs, runtime, arithmetic) -> verdict, as `parity.verdict.judge_outputs`."""


@dataclass(frozen=True)
class Context:
    """The surroundings of one measurement."""

    golden: Golden | None
    """Inputs to run and outputs to compare with; None: numbers are made up, and nothing can be compared."""
    verify: Verify | None
    """Judges the outputs before anything is timed; None when the user asked for no check."""
    say: Say
    checked: str = ""
    """What an earlier measurement of the same file found there; then nothing is checked again."""
    bundle: Path | None = None
    """A bundle of the user's own, for targets that need one."""
    device: str | None = None
    """A device file's name, for targets that model one."""
    session: Session | None = None
    """A phone that the command holds, for targets that run on one."""


class MeasuringTarget(Target, Protocol):
    """What `mocovit-bench` asks of a target besides what the core does."""

    def measure(self, artifact: Artifact, plan: Plan, context: Context) -> Report:
        """Check the file's outputs there, then measure it.

        Raises `ParityError` if the outputs are not the original network's, and what every function of a
        target raises.
        """
        ...


def measuring_target(name: str) -> MeasuringTarget:
    """The module of target `name`; raises like `load_target`."""
    return cast(MeasuringTarget, load_target(name))


@dataclass(frozen=True)
class ProfiledRun:
    """What a target computed for the golden inputs, and what its profiler saw while it did."""

    outputs: Mapping[str, Array]
    """By name, with the samples as the first axis."""
    runtime: str
    """Runtime and version, as in "litert 2.3.0"."""
    arithmetic: str
    executed: tuple[Executed, ...]
    taken: tuple[str, ...] = ()
    """The names of the inputs in the order in which the runtime takes them; empty without golden inputs."""


def verdict_of(artifact: Artifact, context: Context, run: ProfiledRun) -> str:
    """Judge a golden run, in words for a report. Raises `ParityError` unless it passed.

    A check that could not run is not a check that passed; only a user who asked for none goes on without.
    """
    if context.checked:
        return context.checked
    if context.verify is None:
        return "not run: no check was asked for"
    if context.golden is None:
        raise ParityError(
            f"{artifact.path}: no golden file to check it against; export again, or give --no-verify"
        )
    found = context.verify(artifact, context.golden, run.outputs, run.runtime, run.arithmetic)
    if found.verdict != "pass":
        raise ParityError(f"{artifact.path}: parity {found.verdict} on this target: {found.reason}")
    return f"pass: {found.reason}"


def refuse_unsteady(reports: Sequence[Report]) -> None:
    """`TransientDeviceError` (exit status 7) for a report of a phone that did not get steady."""
    for report in reports:
        if isinstance(report, LatencyReport) and report.unsteady:
            raise TransientDeviceError(
                f"{report.subject.file}: no result: {report.unsteady}; let the phone cool down, "
                "close what runs on it, and measure again"
            )
