"""Target `emulated`: the real aarch64 kernels, executed by qemu on this machine, and counted.

Time under emulation says nothing about a phone, so none is taken. What is reported is exact: instructions
by class, bytes, multiply-accumulates; and what a device file makes of them, named modelled.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.devices import device
from benchmarks.operators.profile import counted
from benchmarks.reports.counts import Counts, typical
from benchmarks.reports.plan import Plan
from benchmarks.reports.report import CountedOperator, CountReport, tool_versions
from benchmarks.targets.bench.process import BenchReport, run_bench, timing_options
from benchmarks.targets.checked import ReadyFile, check_first
from benchmarks.targets.context import Context, ProfiledRun
from benchmarks.targets.emulated.prefix import CORES, write_prefix
from benchmarks.targets.emulated.qemu import VARIABLE, Qemu, check_cpu, find_qemu
from benchmarks.targets.plain import emulation_plan, plain_run, present_bundle, times_not, unjudged
from benchmarks.toolchain import bundle as bundles
from benchmarks.toolchain import emulator
from benchmarks.toolchain.bundle import Bundle
from benchmarks.toolchain.emulator import Emulator
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.artifacts.operator import FileOperator
from mocovit_deploy.errors import MissingToolError, ParityError, UsageError
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.tolerance import INT8_AND_HALF, MIXED, NEARLY_ALL
from mocovit_deploy.targets import GoldenRun, InferenceTimes, InstructionCount, OperatorCount, RunConditions

DEFAULT_DEVICE = "snapdragon_855"
_HOTTEST = 5
_COUNTS, _TICKS = "counts.json", "ticks.json"
_BUNDLE, _MODEL = "b", "model"


def measure(artifact: Artifact, plan: Plan, context: Context) -> CountReport:
    """Check the file's outputs under emulation, then count inferences.

    Raises `ParityError` when the outputs are not the original network's, `UsageError` for a model the runtime
    refuses or a broken bundle, `MissingToolError` without an emulator that counts, `TransientDeviceError` at
    the deadline.
    """
    return _measured(artifact, plan, context)[0]


def _measured(artifact: Artifact, plan: Plan, context: Context) -> tuple[CountReport, ProfiledRun]:
    """`measure`, and the run that was checked."""
    counter = emulator.find_emulator()
    model = device.load_device(context.device or DEFAULT_DEVICE)
    per_op = plan.per_op and plan.runtime != "onnxruntime"
    if context.golden is not None and context.verify is None:
        context = replace(context, golden=context.golden.first)  # nothing judges the others
    with _prepared(artifact, plan, context, Qemu(counter.qemu, counter.version)) as place:
        check = _Execute(place, plan, counter if per_op else None, _TICKS, hottest=0, clock=per_op)
        ready = _ready(artifact, plan, context, place, check)
        checked = check_first(ready, then=f"counting {plan.runs} inferences", profiled=1, ticking=per_op)
        count = _Execute(place, plan, counter, _COUNTS, hottest=_HOTTEST)
        count(timing_options(plan), samples=checked.samples)
        regions = emulator.read_counts(place.folder / _COUNTS)
        per_operator = _per_operator(checked.run, place.folder) if per_op else ()
    counts = typical(regions)
    report = CountReport(
        subject=checked.subject,
        plan=plan,
        engine=checked.engine,
        emulator=counter.identity,
        counts=counts,
        instructions_by_run=tuple(region.instructions for region in regions),
        modelled=model.modelled(counts, str(plan.cpu)) if plan.threads == 1 else None,
        verified=checked.verified,
        operators_by_kind=checked.operators_by_kind,
        partitions=checked.partitions,
        operators=per_operator,
        warnings=(*checked.arithmetic_note, *_warnings(plan, counts, checked.run)),
        tools=tool_versions(),
    )
    return report, checked.run


def profile_golden(artifact: Artifact, plan: Plan, context: Context) -> ProfiledRun:
    """Run the golden inputs and return the outputs; judges nothing.

    Any qemu does. Under one that counts, the arithmetic is proved by the multiply-accumulates executed.
    Raises `MissingToolError` where there is no qemu, `ParityError` for a runtime that names an arithmetic
    and executed none of it; otherwise like `measure`.
    """
    counter = _counter_unless_named()
    qemu = find_qemu() if counter is None else Qemu(counter.qemu, counter.version)
    with _prepared(artifact, plan, context, qemu) as place:
        ready = _ready(artifact, plan, context, place, _Execute(place, plan, counter))
        found = ready.run_golden(profiled=1)
        if counter is None:
            return found
        return proved(artifact, found, emulator.read_counts(place.folder / _COUNTS))


def run_golden(artifact: Artifact, golden: Golden, conditions: RunConditions) -> GoldenRun:
    """See `mocovit_deploy.targets.Target`."""
    plan = emulation_plan(artifact, conditions)
    return plain_run(profile_golden, artifact, golden, plan, present_bundle(plan, conditions))


def count(artifact: Artifact, golden: Golden, conditions: RunConditions) -> InstructionCount:
    """See `mocovit_deploy.targets.Target`. `MissingToolError` without an emulator that counts.

    Counts are taken on the first golden sample, so it alone is run before.
    """
    plan = replace(emulation_plan(artifact, conditions), per_op=conditions.per_operator)
    context = replace(unjudged(golden.first, present_bundle(plan, conditions)), device=conditions.device)
    report, checked = _measured(artifact, plan, context)
    return InstructionCount(
        instructions=report.counts.instructions,
        runtime=f"{report.engine.runtime} {report.engine.version}",
        emulator=report.emulator,
        arithmetic=report.engine.arithmetic,
        modelled_ms=report.modelled.modelled_ms if report.modelled else None,
        partitions=report.partitions,
        operators=tuple(
            OperatorCount(name=one.kind, operator=ran.operator, instructions=one.instructions)
            for one, ran in zip(report.operators, checked.executed, strict=bool(report.operators))
        ),
    )


def take_times(_artifact: Artifact, _golden: Golden, _conditions: RunConditions) -> InferenceTimes:
    """`UsageError`: this target counts."""
    raise times_not("emulated")


def _counter_unless_named() -> Emulator | None:
    """The emulator that counts, where there is one and the user named no other qemu."""
    if os.environ.get(VARIABLE):
        return None
    try:
        return emulator.find_emulator()
    except MissingToolError:
        return None


def proved(artifact: Artifact, run: ProfiledRun, regions: Sequence[Counts]) -> ProfiledRun:
    """`run`, once what was executed agrees with the arithmetic it names.

    Floats that were multiplied in fp16 and in fp32 are `MIXED`, unless `NEARLY_ALL` were in fp16. The
    runtime's name says how much was computed in another arithmetic than the one that is named.
    Raises `ParityError` when nothing was computed in the one that is named; of `INT8_AND_HALF` that is int8,
    and half precision may be that of operators which only add.
    """
    macs = {
        width: sum(one.get(width, 0) for one in map(_macs_by_arithmetic, regions))
        for width in ("fp32", "fp16", "int8")
    }
    total = sum(macs.values())
    parts = run.arithmetic.split(" and ")
    if run.arithmetic not in (*macs, MIXED, INT8_AND_HALF) or not total:
        return run
    if not macs.get(parts[0], 1):
        executed = max(macs, key=lambda width: macs[width])
        raise ParityError(
            f"{artifact.path}: the runtime names {parts[0]} kernels, but every multiply-accumulate it "
            f"executed was {executed}; its {parts[0]} is not proven"
        )
    named = run.arithmetic
    if "int8" not in named and macs["fp16"]:
        named = "fp16" if macs["fp16"] >= NEARLY_ALL * (macs["fp16"] + macs["fp32"]) else MIXED
    others = [
        f"{100 * count / total:.2g} % of MACs in {width}"
        for width, count in macs.items()
        if count and width not in named.split(" and ")
    ]
    runtime = f"{run.runtime} ({', '.join(others)})" if others else run.runtime
    return replace(run, arithmetic=named, runtime=runtime)


@dataclass(frozen=True)
class _Place:
    """A folder in which every path is short and always the same.

    The length of a program's words moves its stack, and with it a few instructions: paths that differ from
    machine to machine must not be among them. So the bundle and the model are reached through links.
    """

    folder: Path
    bundle: Bundle
    qemu: Qemu
    operators: tuple[FileOperator, ...]


@dataclass(frozen=True)
class _Execute:
    place: _Place
    plan: Plan
    counter: Emulator | None = None
    output: str = field(default=_COUNTS)
    hottest: int = 0
    clock: bool = False

    def __call__(self, options: Sequence[str], *, samples: int | None) -> BenchReport:
        cpu = str(self.plan.cpu)
        if self.counter is None:
            start = self.place.qemu.command(cpu)
        else:
            start = self.counter.command(
                cpu=cpu, output=self.place.folder / self.output, hottest=self.hottest
            )
        program = self.place.bundle.command(Path(_BUNDLE), preload_clock=self.clock)
        command = [*start, "-L", str(self.place.folder / "prefix"), *program]
        return run_bench(command, _MODEL, self.plan, options, folder=self.place.folder, samples=samples)


@contextmanager
def _prepared(artifact: Artifact, plan: Plan, context: Context, qemu: Qemu) -> Iterator[_Place]:
    if plan.cpu is None:
        raise UsageError("the emulated target needs a core to play; give --cpu")
    operators = format_named(artifact.format).operators(artifact)
    check_cpu(qemu.path, plan.cpu)
    bundle = bundles.bundle_at(context.bundle, plan.runtime, deadline_s=plan.deadline_s)
    with tempfile.TemporaryDirectory(prefix="mocovit-emulated-") as name:
        folder = Path(name)
        (folder / _BUNDLE).symlink_to(bundle.path)
        (folder / _MODEL).symlink_to(artifact.path.resolve())
        write_prefix(folder / "prefix", plan.cpu)
        yield _Place(folder, bundle, qemu, operators)


def _ready(artifact: Artifact, plan: Plan, context: Context, place: _Place, execute: _Execute) -> ReadyFile:
    return ReadyFile(
        artifact=artifact,
        plan=plan,
        context=context,
        execute=execute,
        folder=place.folder,
        version=place.bundle.version,
        build=place.bundle.build,
        operators=place.operators,
    )


def _per_operator(checked: ProfiledRun, folder: Path) -> tuple[CountedOperator, ...]:
    """Instructions per operator, from the one inference that was profiled by the counting clock."""
    region = emulator.read_counts(folder / _TICKS)[-1]
    return counted(checked.executed, {tick.number: tick.instructions for tick in region.ticks})


def _warnings(plan: Plan, counts: Counts, checked: ProfiledRun) -> tuple[str, ...]:
    found = []
    if plan.threads > 1:
        found.append(
            "counts are of all threads together, waiting included; no milliseconds are modelled from them"
        )
    if plan.threads > CORES:
        found.append(f"{plan.threads} threads on the {CORES} cores that are played")
    if plan.per_op and plan.runtime == "onnxruntime":
        found.append(
            "ONNX Runtime does not tell where in its counts an operator begins; no count per operator"
        )
    executed = _arithmetic(counts)
    if executed not in (*checked.arithmetic.split(" and "), "unknown") and checked.arithmetic != MIXED:
        found.append(f"most multiplications executed were {executed}, the operators say {checked.arithmetic}")
    return tuple(found)


def _arithmetic(counts: Counts) -> str:
    """The arithmetic that did most of the multiplying, by the instructions executed."""
    by_width = _macs_by_arithmetic(counts)
    return max(by_width, key=lambda width: by_width[width]) if any(by_width.values()) else "unknown"


def _macs_by_arithmetic(counts: Counts) -> dict[str, int]:
    macs = counts.macs
    return {
        "fp32": macs["fp32"],
        "fp16": macs["fp16"],
        "int8": macs["int8_dot"] + macs["int8_matmul"] + macs["widening_mla"],
    }
