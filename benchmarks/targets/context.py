"""The surroundings of a measurement, the protocol of measuring targets, and the result of a golden run."""

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
"""Takes lines about the progress of a command, one by one."""


class Judged(Protocol):
    """The two fields of a parity report that measuring needs."""

    @property
    def verdict(self) -> str: ...
    @property
    def reason(self) -> str: ...


Verify = Callable[[Artifact, Golden, Mapping[str, Array], str, str], Judged]
"""(artifact, golden, outputs, runtime, arithmetic) -> verdict, like `parity.verdict.judge_outputs`."""


@dataclass(frozen=True)
class Context:
    """The surroundings of one measurement."""

    golden: Golden | None
    """Inputs to run and outputs to compare with. None: inputs are made up, and nothing is compared."""
    verify: Verify | None
    """Judges the outputs before measuring; None if the user asked for no check."""
    say: Say
    checked: str = ""
    """The verdict of an earlier measurement of the same file on this target, which is then not repeated."""
    bundle: Path | None = None
    """A bundle of the user, for targets that need one."""
    device: str | None = None
    """The name of a device file, for targets that model milliseconds."""
    session: Session | None = None
    """The phone that the command holds, for targets that run on one."""


@dataclass(frozen=True)
class Prepared:
    """A file that is ready to be measured: the arguments of `MeasuringTarget.measure`."""

    artifact: Artifact
    plan: Plan
    context: Context


class MeasuringTarget(Target, Protocol):
    """A target of `mocovit-bench`: the core's `Target`, and a function that measures."""

    def measure(self, artifact: Artifact, plan: Plan, context: Context) -> Report:
        """Check the outputs of a file on the target, then measure it.

        Raises `ParityError` if the outputs are not those of the original network, and the errors of every
        function of a target.
        """
        ...


def measuring_target(name: str) -> MeasuringTarget:
    """The module of target `name`. Raises the errors of `load_target`."""
    return cast(MeasuringTarget, load_target(name))


@dataclass(frozen=True)
class ProfiledRun:
    """The outputs of a target for the golden inputs, and the operators that its profiler recorded."""

    outputs: Mapping[str, Array]
    """By name, with the samples as the first axis."""
    runtime: str
    """Runtime and version, such as "litert 2.3.0"."""
    arithmetic: str
    executed: tuple[Executed, ...]
    taken: tuple[str, ...] = ()
    """The names of the inputs in the order of the runtime; empty without golden inputs."""


def verdict_of(artifact: Artifact, context: Context, run: ProfiledRun) -> str:
    """Judge a golden run and return the verdict as text for a report. Raises `ParityError` unless it passed.

    A check that could not run has not passed. Only a user who asked for no check may measure without one.
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
    """Raise `TransientDeviceError` (exit status 7) for a report of a phone that did not get steady."""
    for report in reports:
        if isinstance(report, LatencyReport) and report.unsteady:
            raise TransientDeviceError(
                f"{report.subject.file}: no result: {report.unsteady}; let the phone cool down, "
                "close other apps on it, and measure again"
            )
