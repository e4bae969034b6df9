"""What is looked at to judge one file: each thing when a bound first asks for it, and then kept.

Everything is measured on the file as it lies on disk. Works without torch, but for the original network's
answers, and without `benchmarks` where nothing of it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mocovit_deploy.accuracy.answers import file_answers, image_of
from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.accuracy.labelled import Labelled
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden, read_golden
from mocovit_deploy.contract.accuracy_data import Question
from mocovit_deploy.errors import ParityError, UsageError
from mocovit_deploy.files import size_bytes
from mocovit_deploy.formats import Predictor, format_named
from mocovit_deploy.parity.compare import Difference, compare
from mocovit_deploy.parity.verdict import ParityReport, run_golden

if TYPE_CHECKING:
    from benchmarks.reports.plan import Plan
    from benchmarks.reports.report import CountReport, Partitions
    from benchmarks.targets.context import Context, GoldenRun

CONSTANTS = ("Constant",)
"""Operators of ONNX that hold a number."""


@dataclass(frozen=True)
class Conditions:
    """Under which a file is judged."""

    target: str = "host"
    """Where the golden inputs are run: "host" in the runtimes installed here, "emulated" on an ARM core."""
    runtime: str | None = None
    """The runtime of counts, and of outputs under emulation."""
    cpu: str | None = None
    """The core that the emulator plays."""
    arithmetic: str | None = None
    """What outputs must have been computed in to be judged at all; None for whatever was."""
    images: int | None = None
    """How many of the labelled images to ask about; None for all."""


class Evidence:
    """One file and what has been found out about it so far."""

    def __init__(
        self,
        artifact: Artifact,
        conditions: Conditions,
        question: Question | None = None,
        exported: ParityReport | None = None,
    ) -> None:
        """`exported` is what was found when the file was exported, just now and here."""
        self.artifact = artifact
        self.conditions = conditions
        self._question = question
        self._exported = exported if conditions.target == "host" else None

    @cached_property
    def golden(self) -> Golden:
        return read_golden(self.artifact)

    def over_samples(self, value: float) -> float | None:
        """`value`, which speaks of change from sample to sample; None where there is one sample alone."""
        return value if len(self.golden) > 1 else None

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Of every output, to the original network's, over all golden samples.

        Raises `ParityError` where another arithmetic ran than the contract asks for, or nothing to compare is
        in the golden file.
        """
        if not self.golden.outputs or not len(self.golden):
            raise ParityError(f"{self.artifact.path}: its golden file holds nothing to compare; export again")
        found, _, arithmetic = self._outputs
        asked = self.conditions.arithmetic
        if asked not in (None, arithmetic):
            raise ParityError(
                f"{self.artifact.path}: computed in {arithmetic} on target {self.conditions.target}, not in "
                f"{asked}; give another target, or leave arithmetic out"
            )
        return found

    @property
    def ran_in(self) -> str:
        """The runtime and the arithmetic that gave the outputs."""
        _, runtime, arithmetic = self._outputs
        return f"{runtime}, {arithmetic}"

    @property
    def arithmetic(self) -> str:
        return self._outputs[2]

    @cached_property
    def _outputs(self) -> tuple[tuple[Difference, ...], str, str]:
        if self._exported is not None and self._exported.outputs:
            report = self._exported
            return report.outputs, report.runtime, report.arithmetic
        if self.conditions.target == "host":
            predictors = [self._predictor, format_named(self.artifact.format).load_platform(self.artifact)]
            runs = [self._run_in(one) for one in predictors if one is not None]
            # Where the platform has a runtime of its own, the worse of the two is what holds.
            return max(runs, key=lambda run: max(not d.finite or d.max_error for d in run[0]))
        ran = self._profile
        return self._compared(ran.outputs), ran.runtime, ran.arithmetic

    def _run_in(self, predictor: Predictor) -> tuple[tuple[Difference, ...], str, str]:
        try:
            ran = run_golden(self.artifact, self.golden, predictor)
        except KeyError as error:
            raise self._other_outputs(error) from None
        return self._compared(ran), predictor.runtime, predictor.arithmetic

    def _compared(self, found: Mapping[str, Array]) -> tuple[Difference, ...]:
        try:
            pairs = self.golden.outputs.items()
            return tuple(compare(name, expected, np.asarray(found[name])) for name, expected in pairs)
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
        if self.artifact.format == "coreml":
            from exporters.coreml.read import read

            return tuple(operation.kind for operation in read(self.artifact.path).operations)
        from benchmarks.operators.read import read_operators

        found = read_operators(self.artifact.path, self.artifact.format)
        return tuple(operator.kind for operator in found if operator.kind not in CONSTANTS)

    @cached_property
    def partitions(self) -> Partitions:
        """How XNNPACK and the runtime's own kernels share the file, where it is run."""
        from benchmarks.operators.profile import partitions
        from benchmarks.operators.read import read_operators

        operators = read_operators(self.artifact.path, self.artifact.format)
        return partitions(self._profile.executed, operators)

    @property
    def profiled_in(self) -> str:
        emulated = self.conditions.target == "emulated"
        return f"{self._profile.runtime} on {self.conditions.cpu if emulated else 'this machine'}"

    @cached_property
    def _profile(self) -> GoldenRun:
        from mocovit_deploy.targets import load_target

        return load_target(self.conditions.target).run_golden(
            self.artifact, self._target_plan, self._context(self.golden)
        )

    @cached_property
    def counts(self) -> CountReport:
        """One inference, counted under emulation; raises `MissingToolError` where there is no emulator.

        Counts are taken on the first golden sample, so it alone is run before. Its outputs are not judged
        here: the bounds on them are the contract's own.
        """
        from benchmarks.reports.report import CountReport
        from mocovit_deploy.targets import load_target

        report = load_target("emulated").measure(
            self.artifact, self._counting_plan, self._context(self.golden.first)
        )
        assert isinstance(report, CountReport)
        return report

    @property
    def counted_in(self) -> str:
        engine = self.counts.engine
        return f"{engine.runtime} {engine.version} on {self.conditions.cpu}"

    @property
    def _target_plan(self) -> Plan:
        """How the golden inputs are run on the target."""
        from benchmarks.reports.plan import Plan
        from benchmarks.targets.subject import runtime_for

        if self.conditions.target == "emulated":
            return self._counting_plan
        return Plan(runtime=runtime_for(self.artifact, None))

    @property
    def _counting_plan(self) -> Plan:
        from benchmarks.reports.plan import counting_plan
        from benchmarks.targets.subject import runtime_for

        runtime = runtime_for(self.artifact, self.conditions.runtime)
        return counting_plan(runtime=runtime, cpu=str(self.conditions.cpu))

    def _context(self, golden: Golden) -> Context:
        from benchmarks.targets.context import Context

        return Context(golden=golden, verify=None, say=lambda _line: None)

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
        return self._asked.original(image_of(self.artifact), self.conditions.images)

    @property
    def answered_in(self) -> str:
        return f"{self._predictor.runtime}, {self._predictor.arithmetic}"

    @property
    def _asked(self) -> Question:
        if self._question is None:
            raise UsageError(f"{self.artifact.path}: accuracy needs labelled images; name them with data")
        return self._question

    @cached_property
    def _labelled(self) -> Labelled:
        found = self._asked.labelled(image_of(self.artifact), self.conditions.images)
        classes = self.artifact.outputs[0].shape[-1]
        if isinstance(classes, int) and int(found.labels.max()) >= classes:
            raise UsageError(
                f"{self._asked.name}: has labels up to {int(found.labels.max())}, "
                f"{self.artifact.path.name} knows classes 0 to {classes - 1}"
            )
        return found
