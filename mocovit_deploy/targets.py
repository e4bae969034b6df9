"""What a target is: a module in `benchmarks/targets/` that executes files, on this machine or elsewhere.

Arguments and results are plain data, so that parity and contracts use a target without knowing how it works.
What only `mocovit-bench` needs of a target is `benchmarks.targets.context.MeasuringTarget`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from mocovit_deploy.choices import RUNTIMES_OF, TARGETS
from mocovit_deploy.errors import UsageError, unknown_choice

if TYPE_CHECKING:
    from mocovit_deploy.artifacts.artifact import Array, Artifact
    from mocovit_deploy.artifacts.golden import Golden


@dataclass(frozen=True, kw_only=True)
class RunConditions:
    """How a target is to execute a file."""

    runtime: str | None = None
    """One of `RUNTIMES`; None for the first that reads the file's format."""
    cpu: str | None = None
    """One of `CPUS`, for a target that imitates a core; None for the first. Other targets ignore it."""
    deadline_s: float = 600.0
    """The whole call ends after this many seconds, with a `TransientDeviceError`."""
    fetch: bool = True
    """Whether to download a runtime that is not installed for the target; False raises `MissingToolError`."""
    device: str | None = None
    """The device that milliseconds are modelled for, on a target that counts; None for the target's
    default."""
    per_operator: bool = False
    """Count each operator too, on a target that counts."""
    counted_runs: int = 2
    """How many inferences a target that counts counts; a second one shows that they agree."""


@dataclass(frozen=True, kw_only=True)
class OutsideDelegate:
    """Operators of one kind that no delegate took."""

    kind: str
    count: int
    reason: str
    """Why XNNPACK left them out; empty if that is not known."""


@dataclass(frozen=True, kw_only=True)
class Partitions:
    """How the graph was divided between a delegate and the runtime's own kernels."""

    delegate: str
    count: int
    """Pieces of the graph that the delegate ran."""
    operators_inside: int
    outside: tuple[OutsideDelegate, ...]


@dataclass(frozen=True, kw_only=True)
class GoldenRun:
    """What a target computed for the golden inputs."""

    outputs: Mapping[str, Array]
    """By name, (samples, ...) as in the golden file. Quantized outputs are dequantized to real numbers."""
    runtime: str
    """Runtime and version, as in "litert 2.3.0"."""
    arithmetic: str
    """The arithmetic of the multiplications: "fp32", "fp16", "mixed" (both), "int8" (most), or "unknown"."""
    partitions: Partitions | None = None
    """None for a runtime whose profiler does not report them."""


@dataclass(frozen=True, kw_only=True)
class OperatorCount:
    """The instructions of one operator, as the runtime executed it."""

    name: str
    """The runtime's name for it, as in "Convolution (NHWC, F32) IGEMM"."""
    operator: int | None
    """The file's operator that it executes (`FileOperator.index`); None if that is not known."""
    instructions: int


@dataclass(frozen=True, kw_only=True)
class InstructionCount:
    """The instructions of one inference, counted."""

    instructions: int
    runtime: str
    """Runtime and version, as in "litert 2.3.0"."""
    emulator: str
    """The emulator that counted: its version and the digest of its plugin."""
    arithmetic: str = "unknown"
    """As in `GoldenRun.arithmetic`."""
    modelled_ms: float | None = None
    """None if the device's model does not cover the core."""
    partitions: Partitions | None = None
    operators: tuple[OperatorCount, ...] = ()
    """In order of execution; empty unless the conditions ask for them and the runtime reports them."""


@dataclass(frozen=True, kw_only=True)
class InferenceTimes:
    """How long one inference takes on hardware, measured many times."""

    samples_ms: tuple[float, ...]
    """One for each inference, in order."""
    load_ms: float
    """Opening the file, building the interpreter, packing weights."""
    runtime: str
    """Runtime and version, as in "litert 2.3.0"."""
    arithmetic: str
    """As in `GoldenRun.arithmetic`."""


class Target(Protocol):
    """A module in `benchmarks/targets/`.

    Every function raises `UsageError` for a file that the runtime refuses or conditions that do not fit it,
    `MissingToolError` for a runtime or a program that is not installed, `DeviceError` for a device that
    cannot be used, `TransientDeviceError` at the deadline.
    """

    COUNTS: bool
    """True for a target that counts instructions; False for one that takes times."""

    def run_golden(self, artifact: Artifact, golden: Golden, conditions: RunConditions) -> GoldenRun:
        """Run every sample of `golden` and return the outputs. They are not judged here.

        Raises `UsageError` if the golden file's tensors are not the file's; `ParityError` if the runtime did
        not compute in the arithmetic that it reports.
        """
        ...

    def count(self, artifact: Artifact, golden: Golden, conditions: RunConditions) -> InstructionCount:
        """Count one inference of the first sample of `golden`. The outputs are not judged here.

        Raises `UsageError` on a target that does not count.
        """
        ...

    def take_times(self, artifact: Artifact, golden: Golden, conditions: RunConditions) -> InferenceTimes:
        """Time inferences of the first sample of `golden` after a warm-up. The outputs are not judged here.

        Raises `UsageError` on a target that counts, `TransientDeviceError` if the device does not become
        steady.
        """
        ...


def load_target(name: str) -> Target:
    """The module of target `name`. Raises `UsageError` with the known ones for any other name."""
    if name not in TARGETS:
        raise unknown_choice("target", name, TARGETS)
    return cast(Target, importlib.import_module(f"benchmarks.targets.{name}"))


def counting_target() -> Target:
    """The first target that counts."""
    return next(target for target in map(load_target, TARGETS) if target.COUNTS)


def runtime_for(artifact: Artifact, asked: str | None) -> str:
    """The runtime to run `artifact` in: `asked`, or the first of its format if `asked` is None.

    Raises `UsageError` if `asked` does not read the format, or no runtime here executes it.
    """
    fitting = RUNTIMES_OF.get(artifact.format, ())
    if not fitting:
        raise UsageError(f"{artifact.path}: no runtime here executes {artifact.format}")
    if asked is None:
        return fitting[0]
    if asked not in fitting:
        raise UsageError(
            f"{artifact.path}: {asked} does not read {artifact.format} (choose from {', '.join(fitting)})"
        )
    return asked
