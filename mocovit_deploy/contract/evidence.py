"""What is looked at to judge one file: each thing when a bound first asks for it, and then kept.

Everything is measured on the file as it lies on disk. Works without torch, but for the original network's
answers.
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
    """Under which a file is judged."""

    target: str = HOST
    """Where the golden inputs are run: "host" in the runtimes installed here, "emulated" on an ARM core."""
    runtime: str | None = None
    """The runtime of counts, and of outputs under emulation."""
    cpu: str | None = None
    """The core that the emulator plays."""
    arithmetic: str | None = None
    """What outputs must have been computed in to be judged at all; None for any arithmetic."""
    images: int | None = None
    """How many of the labelled images to ask about; None for all."""


@dataclass(frozen=True)
class _Ran:
    """The golden inputs, run."""

    differences: tuple[Difference, ...]
    runtime: str
    arithmetic: str
    flips: tuple[str, ...]


class Evidence:
    """One file and what has been found out about it so far."""

    def __init__(
        self,
        artifact: Artifact,
        conditions: Conditions,
        question: AccuracyData | None = None,
        exported: ParityReport | None = None,
    ) -> None:
        """`exported` is what was found when the file was exported, just now and here."""
        self.artifact = artifact
        self.conditions = conditions
        self._question = question
        self._exported = exported if conditions.target == HOST else None

    @cached_property
    def golden(self) -> Golden:
        return read_golden(self.artifact)

    def over_samples(self, value: float) -> float | None:
        """`value`, which measures change from sample to sample; None if there is only one sample."""
        return value if len(self.golden) > 1 else None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Of every output, to the original network's, over all golden samples.

        Raises `ParityError` where another arithmetic ran than the contract asks for, or nothing to compare is
        in the golden file.
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
        """The runtime and the arithmetic that gave the outputs."""
        return f"{self._ran.runtime}, {self._ran.arithmetic}"

    @property
    def arithmetic(self) -> str:
        return self._ran.arithmetic

    @property
    def flips(self) -> tuple[str, ...]:
        """Samples on which the file names another class than the original, in words, each with its margin.

        Those of an fp16 file that is computed in fp32 here are of its export, which computed it in fp16.
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
            # Where the platform has a runtime of its own, the worse of the two is what holds.
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
        return ParityError(f"{self.artifact.path}: does not give what the golden file holds ({error})")

    @cached_property
    def _predictor(self) -> Predictor:
        return format_named(self.artifact.format).load(self.artifact)

    @property
    def size_bytes(self) -> int:
        return size_bytes(self.artifact.path)

    @cached_property
    def operators(self) -> tuple[str, ...]:
        """The kind of each operator in the file, constants left out."""
        found = format_named(self.artifact.format).operators(self.artifact)
        return tuple(operator.kind for operator in found if not operator.constant)

    @property
    def readiness(self) -> tuple[Readiness, ...]:
        """What delegates will leave out of the file, told from the file alone."""
        return format_named(self.artifact.format).readiness(self.artifact)

    @property
    def partitions(self) -> Partitions:
        """How XNNPACK and the runtime's own kernels share the file, where it is run."""
        found = self._target_run.partitions
        if found is None:
            raise UsageError(f"{self.artifact.path}: {self._target_run.runtime} does not tell its partitions")
        return found

    @property
    def profiled_in(self) -> str:
        where = "this machine" if self.conditions.target == HOST else self.conditions.cpu or "its own core"
        return f"{self._target_run.runtime} on {where}"

    @cached_property
    def _target_run(self) -> GoldenRun:
        """The golden inputs run on the target of the contract."""
        host = self.conditions.target == HOST
        conditions = RunConditions() if host else self._asked_conditions
        return load_target(self.conditions.target).run_golden(self.artifact, self.golden, conditions)

    @cached_property
    def count(self) -> InstructionCount:
        """One inference, counted under emulation; raises `MissingToolError` without an emulator.

        Its outputs are not judged here: the bounds on them are the contract's own.
        """
        return counting_target().count(self.artifact, self.golden, self._asked_conditions)

    @property
    def counted_in(self) -> str:
        return f"{self.count.runtime} on {self.conditions.cpu}"

    @property
    def _asked_conditions(self) -> RunConditions:
        return RunConditions(runtime=self.conditions.runtime, cpu=self.conditions.cpu)

    @property
    def labels(self) -> Classes:
        """Of the labelled images, (images,)."""
        return self._labelled.labels

    @cached_property
    def answers(self) -> Classes:
        """The class the file names for each of the labelled images, (images,)."""
        tensors = self._labelled.tensors(self.artifact.preprocessing)
        return file_answers(self.artifact, self._predictor, tensors, len(self.labels))

    @property
    def original_answers(self) -> Classes:
        """The class the original network names for each, (images,); needs torch."""
        known = known_classes(self.artifact)
        return self._asked.original(image_of(self.artifact), self.conditions.images, known)

    @property
    def answered_in(self) -> str:
        return f"{self._predictor.runtime}, {self._predictor.arithmetic}"

    @property
    def _asked(self) -> AccuracyData:
        if self._question is None:
            raise UsageError(f"{self.artifact.path}: accuracy needs labelled images; name them with data")
        return self._question

    @cached_property
    def _labelled(self) -> Labelled:
        image, known = image_of(self.artifact), known_classes(self.artifact)
        found = self._asked.labelled(image, self.conditions.images, known)
        require_fitting(found, known, self.artifact.path.name, self._asked.name)
        return found
