"""The facts about one file that bounds are measured on. Each is found when it is first needed, and kept.

Everything is measured on the file as it lies on disk. Only the original network's answers need torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from mocovit_deploy.accuracy.answers import file_answers, image_of
from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.accuracy.judge import known_classes, require_fitting
from mocovit_deploy.accuracy.labelled import Labelled
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden, read_golden
from mocovit_deploy.artifacts.readiness import Readiness
from mocovit_deploy.choices import HOST
from mocovit_deploy.contract.accuracy_data import AccuracyData
from mocovit_deploy.errors import ParityError, UsageError
from mocovit_deploy.files import size_bytes
from mocovit_deploy.formats import Predictor, format_named
from mocovit_deploy.parity.compare import Difference
from mocovit_deploy.parity.flips import flips
from mocovit_deploy.parity.verdict import ParityReport, differences, predict_golden
from mocovit_deploy.targets import (
    GoldenRun,
    InstructionCount,
    Partitions,
    RunConditions,
    counting_target,
    load_target,
)


@dataclass(frozen=True)
class Conditions:
    """The conditions under which a file is judged."""

    target: str = HOST
    """Where the golden inputs are run: "host" in the runtimes installed here, "emulated" on an ARM core."""
    runtime: str | None = None
    """The runtime for counts, and for outputs under emulation."""
    cpu: str | None = None
    """The core that the emulator imitates."""
    arithmetic: str | None = None
    """The arithmetic that outputs must be computed in; None for any."""
    images: int | None = None
    """How many of the labelled images are used; None for all."""


@dataclass(frozen=True)
class _Ran:
    """The result of running the golden inputs."""

    differences: tuple[Difference, ...]
    runtime: str
    arithmetic: str
    flips: tuple[str, ...]


class Evidence:
    """One file and the facts found about it so far."""

    def __init__(
        self,
        artifact: Artifact,
        conditions: Conditions,
        accuracy_data: AccuracyData | None = None,
        exported: ParityReport | None = None,
    ) -> None:
        """`exported` is the export's own report, if the file was exported by this command."""
        self.artifact = artifact
        self.conditions = conditions
        self._accuracy_data = accuracy_data
        self._exported = exported if conditions.target == HOST else None

    @cached_property
    def golden(self) -> Golden:
        """The golden file. Raises `UsageError` if it cannot be used."""
        return read_golden(self.artifact)

    def over_samples(self, value: float) -> float | None:
        """`value`, or None if the golden file has a single sample, as then outputs cannot change."""
        return value if len(self.golden) > 1 else None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """The difference of every output to the original network's, over all golden samples.

        Raises `ParityError` if the outputs were computed in another arithmetic than the contract asks for, or
        if the golden file holds nothing to compare.
        """
        if not self.golden.outputs or not len(self.golden):
            raise ParityError(f"{self.artifact.path}: its golden file holds nothing to compare; export again")
        ran, asked = self._ran, self.conditions.arithmetic
        if asked not in (None, ran.arithmetic):
            raise ParityError(
                f"{self.artifact.path}: computed in {ran.arithmetic} on target {self.conditions.target}, not "
                f"in {asked}; give another target, or leave arithmetic out"
            )
        return ran.differences

    @property
    def ran_in(self) -> str:
        """The runtime and the arithmetic that computed the outputs."""
        return f"{self._ran.runtime}, {self._ran.arithmetic}"

    @property
    def arithmetic(self) -> str:
        """The arithmetic that the outputs were computed in."""
        return self._ran.arithmetic

    @property
    def flips(self) -> tuple[str, ...]:
        """Samples on which the file answers another class than the original, each as a line with its margin.

        For an fp16 file that is computed in fp32 here, the flips are those that its export found in fp16.
        """
        half = (self.artifact.parity or {}).get("half") or {}
        if self.conditions.target == HOST and half.get("flips"):
            return tuple(f"{flip}, in {half['arithmetic']} arithmetic" for flip in half["flips"])
        return self._ran.flips

    @cached_property
    def _ran(self) -> _Ran:
        if self._exported is not None and self._exported.outputs:
            report = self._exported
            return _Ran(report.outputs, report.runtime, report.arithmetic, report.flips)
        if self.conditions.target == HOST:
            predictors = [self._predictor, format_named(self.artifact.format).load_platform(self.artifact)]
            runs = [self._run_in(one) for one in predictors if one is not None]
            # If the platform has a runtime of its own, the worse result of the two counts.
            return max(runs, key=lambda run: max(not d.finite or d.max_error for d in run.differences))
        ran = self._target_run
        return self._compared(ran.outputs, ran.runtime, ran.arithmetic)

    def _run_in(self, predictor: Predictor) -> _Ran:
        try:
            found = predict_golden(self.artifact, self.golden, predictor)
        except KeyError as error:
            raise self._other_outputs(error) from None
        return self._compared(found, predictor.runtime, predictor.arithmetic)

    def _compared(self, found: Mapping[str, Array], runtime: str, arithmetic: str) -> _Ran:
        try:
            return _Ran(differences(self.golden, found), runtime, arithmetic, flips(self.golden, found))
        except (KeyError, ValueError) as error:  # another output, or one of another shape
            raise self._other_outputs(error) from None

    def _other_outputs(self, error: Exception) -> ParityError:
        return ParityError(f"{self.artifact.path}: its outputs are not those of the golden file ({error})")

    @cached_property
    def _predictor(self) -> Predictor:
        return format_named(self.artifact.format).load(self.artifact)

    @property
    def size_bytes(self) -> int:
        """The size of the file, or of all files in a package."""
        return size_bytes(self.artifact.path)

    @cached_property
    def operators(self) -> tuple[str, ...]:
        """The kind of each operator in the file, without constants."""
        found = format_named(self.artifact.format).operators(self.artifact)
        return tuple(operator.kind for operator in found if not operator.constant)

    @property
    def readiness(self) -> tuple[Readiness, ...]:
        """The operators that each delegate will leave to the CPU, by its rules."""
        return format_named(self.artifact.format).readiness(self.artifact)

    @property
    def partitions(self) -> Partitions:
        """How XNNPACK and the runtime's own kernels divided the file on the target.

        Raises `UsageError` if the runtime does not report it.
        """
        found = self._target_run.partitions
        if found is None:
            raise UsageError(f"{self.artifact.path}: {self._target_run.runtime} does not report partitions")
        return found

    @property
    def profiled_in(self) -> str:
        """The runtime and the core that the partitions are from."""
        where = "this machine" if self.conditions.target == HOST else self.conditions.cpu or "its own core"
        return f"{self._target_run.runtime} on {where}"

    @cached_property
    def _target_run(self) -> GoldenRun:
        """The golden inputs, run on the target of the contract."""
        host = self.conditions.target == HOST
        conditions = RunConditions() if host else self._asked_conditions
        return load_target(self.conditions.target).run_golden(self.artifact, self.golden, conditions)

    @cached_property
    def count(self) -> InstructionCount:
        """The instructions of one inference under emulation. Raises `MissingToolError` without an emulator.

        The outputs are not judged here; other bounds of the contract do that.
        """
        return counting_target().count(self.artifact, self.golden, self._asked_conditions)

    @property
    def counted_in(self) -> str:
        """The runtime and the core that the count is from."""
        return f"{self.count.runtime} on {self.conditions.cpu}"

    @property
    def _asked_conditions(self) -> RunConditions:
        return RunConditions(runtime=self.conditions.runtime, cpu=self.conditions.cpu)

    @property
    def labels(self) -> Classes:
        """The labels of the images, (images,)."""
        return self._labelled.labels

    @cached_property
    def answers(self) -> Classes:
        """The class that the file answers for each labelled image, (images,)."""
        tensors = self._labelled.tensors(self.artifact.preprocessing)
        return file_answers(self.artifact, self._predictor, tensors, len(self.labels))

    @property
    def original_answers(self) -> Classes:
        """The class that the original network answers for each labelled image, (images,). Needs torch."""
        known = known_classes(self.artifact)
        return self._data.original(image_of(self.artifact), self.conditions.images, known)

    @property
    def answered_in(self) -> str:
        """The runtime and the arithmetic that the file's answers are from."""
        return f"{self._predictor.runtime}, {self._predictor.arithmetic}"

    @property
    def _data(self) -> AccuracyData:
        if self._accuracy_data is None:
            raise UsageError(f"{self.artifact.path}: accuracy needs labelled images; name them with data")
        return self._accuracy_data

    @cached_property
    def _labelled(self) -> Labelled:
        image, known = image_of(self.artifact), known_classes(self.artifact)
        found = self._data.labelled(image, self.conditions.images, known)
        require_fitting(found, known, self.artifact.path.name, self._data.name)
        return found
