"""The precision `auto`: the fastest file of one format that keeps the accuracy.

    plain recipes ---------- written, counted, judged ------------------------------.
    all float, all int8 ---- counted by operator -- minimum cut -- mixed, judged --- choose -- half -- publish
                                                        ^             |
                                                        `-------------'
                                     a higher price of noise, until the mixed file keeps the accuracy

If the emulated core is installed, every candidate is counted on it; else its instructions are estimated from
a table of costs. Accuracy is judged on images of the calibration source that no range was taken from, never
on golden samples. The chosen candidate must also pass in half precision; if it does not, the next best is
chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from mocovit_deploy.errors import AccuracyError, DeployError, MissingToolError
from mocovit_deploy.exporting.context import ExportContext, Outcome, Proven
from mocovit_deploy.exporting.judging import judge, judging_of, what_would_help
from mocovit_deploy.exporting.prove import prove, prove_fastest, prove_half
from mocovit_deploy.exporting.publish import outcome_of, publish
from mocovit_deploy.files import size_bytes
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.parity.verdict import not_run
from mocovit_deploy.passes.run import rewrite, run_passes
from mocovit_deploy.quantization.arithmetic import ArithmeticChoice
from mocovit_deploy.quantization.noise import relative_noise
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.search.candidate import Candidate
from mocovit_deploy.search.choose import Choice, choose
from mocovit_deploy.spec import AUTO, SearchRequest
from mocovit_deploy.targets import InstructionCount, RunConditions, counting_target

MIXED = ("mixed_wi8_ai8_fp16", "mixed_wi8_ai8")
"""The recipes of mixed files, the one with the faster float arithmetic first."""
NOISE_PRICES = (0.0, 1e3, 1e4, 1e5, 1e6)
"""Instructions that one unit of noise is worth, in the order they are tried; an operator takes 1e4 to 1e6."""
MILLISECONDS_PER_INSTRUCTION = 1.5e-7
"""For estimates without a count. Measured: 1.48e-7 to 1.58e-7 for `mocovit_1_0` in fp32, fp16 and int8."""
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
"""Operators that a mixed file has in addition to those of the float file."""
DEADLINE_S = 1800.0
"""Seconds that counting one candidate may take."""


@dataclass(frozen=True)
class _Judged:
    """A candidate with its file."""

    candidate: Candidate
    proven: Proven | None
    """None if the file could not be written or run."""
    again: Callable[[], Proven] | None = None
    """Writes the file again, because a later candidate may have overwritten it."""


def search(context: ExportContext, format_name: str, _recipe: str = AUTO) -> Outcome:
    """Write, judge and compare the candidates, and publish the best; an error if none is good enough."""
    return outcome_of(context, format_name, AUTO, lambda: _Search(context, format_name).run())


class _Search:
    def __init__(self, context: ExportContext, format_name: str) -> None:
        self.context, self.format_name = context, format_name
        self.wanted = context.request.search or SearchRequest()
        self.max_drop = self.wanted.max_drop / 100
        self.can_count = True
        self.judging = judging_of(context)

    def run(self) -> Outcome:
        recipes = format_named(self.format_name).RECIPES
        judged = [self._candidate(one) for one in recipes if _is_quick(one)]
        for recipe in (one for one in MIXED if one in recipes):
            mixed = list(self._mixed(recipe))
            judged += mixed
            if any(one.candidate.keeps(self.max_drop) for one in mixed):
                break
        return self._published(judged)

    # Candidates

    def _mixed(self, recipe: str) -> Iterator[_Judged]:
        """Mixed files with a rising price of noise, up to the first that keeps the accuracy."""
        told = self._costs(recipe)
        noise = self._noise(recipe) if self.judging is not None else {}
        written: set[str] = set()
        for price in NOISE_PRICES if noise else (0.0,):
            choice = replace(told, noise=noise, noise_price=price, careful=not noise)
            one = self._candidate(recipe, choice)
            digest = "" if one.proven is None else one.proven.artifact.sha256
            if one.proven is not None and not _has_int8(one.proven):
                return  # every operator is float: the same file as a plain recipe's, which is judged already
            if digest in written:
                continue
            written.add(digest)
            yield one
            if one.candidate.keeps(self.max_drop):
                return

    def _candidate(self, recipe: str, choice: ArithmeticChoice | None = None) -> _Judged:
        def again() -> Proven:
            if choice is None:
                return prove_fastest(self.context, self.format_name, recipe, estimate=True)
            return prove(self.context, self.format_name, recipe, choice, estimate=True)

        price = None if choice is None else choice.noise_price
        try:
            proven = again()
        except DeployError as error:
            why_not = self.context.staging.told(str(error))
            return _Judged(Candidate(recipe=recipe, passed=False, why_not=why_not, noise_price=price), None)
        report = proven.report
        worst = [one.sqnr_db for one in report.outputs if one.finite]
        found = Candidate(
            recipe=recipe,
            passed=report.verdict == PASS or not self.context.request.verify,
            why_not="" if report.verdict == PASS else self.context.staging.told(report.reason),
            size_bytes=size_bytes(proven.artifact.path),
            sqnr_db=min(worst) if len(worst) == len(report.outputs) and worst else None,
            noise_price=price,
        )
        if found.passed:
            found = self._with_accuracy(found, proven)
            found = self._with_time(found, proven)
        return _Judged(found, proven, again)

    def _with_accuracy(self, found: Candidate, proven: Proven) -> Candidate:
        if self.judging is None:
            return found
        artifact = proven.artifact
        with self.context.stages(f"accuracy {artifact.format} {artifact.recipe}"):
            told = judge(self.judging, artifact)
        return replace(found, agreement=told.agreement, drop=told.drop.value, drop_high=told.drop.high)

    def _with_time(self, found: Candidate, proven: Proven) -> Candidate:
        counted = self._count(proven, per_operator=False)
        if counted is not None:
            return replace(
                found,
                instructions=counted.instructions,
                modelled_ms=counted.modelled_ms,
                partitions=None if counted.partitions is None else counted.partitions.count,
                is_counted=True,
            )
        estimated = proven.written.instructions
        if estimated is None:
            return found
        return replace(found, instructions=estimated, modelled_ms=estimated * MILLISECONDS_PER_INSTRUCTION)

    # What they are chosen by

    def _costs(self, recipe: str) -> ArithmeticChoice:
        """The instructions of each operator in float and in int8, counted if possible; else left open."""
        counts: list[dict[int, float]] = []
        for choice in (ArithmeticChoice(everything=True), ArithmeticChoice(nothing=True)):
            if not self.can_count:
                break
            proven = prove(self.context, self.format_name, recipe, choice)
            counted = self._count(proven, per_operator=True)
            if counted is not None and counted.operators:
                counts.append(_by_operator(proven, counted))
        if len(counts) < 2:
            return ArithmeticChoice()
        return ArithmeticChoice(int8_instructions=counts[0], float_instructions=counts[1])

    def _noise(self, recipe: str) -> dict[str, float]:
        context = self.context
        assert context.schemes.calibration is not None
        rewrites = [rewrite(module) for module in format_named(self.format_name).lowerings(recipe)]
        chosen = [one for one in rewrites if one.__name__ not in context.request.without]
        lowered = run_passes(context.passes.graph, context.example, chosen)
        with context.stages("noise of each operation"):
            return relative_noise(lowered.graph, context.schemes.of(lowered), context.schemes.calibration)

    def _count(self, proven: Proven, *, per_operator: bool) -> InstructionCount | None:
        """The counted instructions; None if the emulator or the runtime for it is not installed."""
        if not self.can_count:
            return None
        conditions = RunConditions(
            runtime=self.wanted.runtime,
            device=self.wanted.device,
            per_operator=per_operator,
            counted_runs=1,  # candidates are compared, and LiteRT's counts are equal in every run
            deadline_s=DEADLINE_S,
            fetch=False,
        )
        try:
            with self.context.stages(f"counting {proven.artifact.recipe}"):
                return counting_target().count(proven.artifact, proven.golden, conditions)
        except MissingToolError:
            self.can_count = False
            return None

    # The choice

    def _published(self, judged: list[_Judged]) -> Outcome:
        """Publish the best candidate that also passes in half precision."""
        while True:
            choice = choose([one.candidate for one in judged], self.max_drop)
            chosen = next((one for one in judged if one.candidate is choice.candidate), None)
            if chosen is None or chosen.again is None:
                return self._none(judged, choice)
            proven = prove_half(self.context, chosen.again())
            if proven.report.verdict == PASS or not self.context.request.verify:
                break
            refused = replace(
                chosen.candidate, passed=False, why_not=self.context.staging.told(proven.report.reason)
            )
            judged[judged.index(chosen)] = _Judged(refused, None)
        candidates = tuple(one.candidate for one in judged)
        artifact = proven.artifact
        said = {**(artifact.quantization or {}), "search": self._said(candidates, choice)}
        outcome = publish(
            self.context, replace(proven, artifact=replace(artifact, quantization=said)), accepted=True
        )
        notes = (*outcome.notes, *self._notes())
        return replace(outcome, candidates=candidates, why_chosen=choice.reason, notes=notes)

    def _none(self, judged: list[_Judged], choice: Choice) -> Outcome:
        images = None if self.judging is None else len(self.judging.original)
        advice = what_would_help(images, self.max_drop)
        error = AccuracyError(f"{self.context.network.name}: {choice.reason}; {advice}")
        candidates = tuple(one.candidate for one in judged)
        return Outcome(
            self.format_name, AUTO, None, not_run(choice.reason), error, self._notes(), candidates=candidates
        )

    def _said(self, candidates: tuple[Candidate, ...], choice: Choice) -> dict[str, object]:
        """The record of the search for the manifest."""
        return {
            "device": self.wanted.device,
            "runtime": self.wanted.runtime,
            "max_drop_points": self.wanted.max_drop,
            "judging_images": 0 if self.judging is None else len(self.judging.original),
            "counted": self.can_count,
            "reason": choice.reason,
            "candidates": [one.as_json() for one in candidates],
        }

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if not self.can_count:
            notes.append(
                "instructions are estimated from a table of costs for LiteRT; to count them, install the "
                "emulator (mocovit-bench emulator, mocovit-bench bundle)"
            )
        if self.judging is None:
            notes.append("accuracy was not judged: there are no calibration images for it")
        elif self.judging.task is not None:
            notes.append(
                "files are judged by what they and the network agree on in each image: the same objects, or "
                "the places of the same class (docs/precision.md)"
            )
        elif self.context.schemes.calibration.judging.labels is None:  # type: ignore[union-attr]
            notes.append(
                "no labels come with the calibration images (of a folder, images alone are read): the "
                "network's own answers are used as labels"
            )
        return tuple(notes)


def _is_quick(recipe: str) -> bool:
    """Whether a plain recipe can be the fastest.

    False for mixed recipes, which are tried separately, and for recipes that are never faster than fp16:
    those that widen weights in each inference, and int16 activations, which are meant for NPUs.
    """
    known = recipe_named(recipe)
    return known.weights == "fp32" or (known.is_static and not known.is_mixed and known.activations == "int8")


def _has_int8(proven: Proven) -> bool:
    """Whether a mixed file computes any operator in int8."""
    return bool(((proven.artifact.quantization or {}).get("operators") or {}).get("int8"))


def _by_operator(proven: Proven, counted: InstructionCount) -> dict[int, float]:
    """Instructions by the operator's index in the float file; 0 for one that was fused into another."""
    operators = format_named(proven.artifact.format).operators(proven.artifact)
    places = {
        one.index: place for place, one in enumerate(one for one in operators if one.kind not in CONVERSIONS)
    }
    found = dict.fromkeys(places.values(), 0.0)
    for one in counted.operators:
        if one.operator in places:
            found[places[one.operator]] += one.instructions
    return found
