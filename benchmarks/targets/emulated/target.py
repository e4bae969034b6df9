"""Target `emulated`: the real aarch64 kernels, executed and counted by qemu on this machine.

Time under emulation says nothing about a phone, so none is taken. The counts are exact: instructions by
class, bytes, multiply-accumulates. Milliseconds that a device file derives from them are called modelled.
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
    """Check the outputs of a file under emulation, then count inferences.

    Raises `ParityError` if the outputs are not those of the original network, `UsageError` for a model that
    the runtime refuses or a broken bundle, `MissingToolError` without an emulator that counts,
    `TransientDeviceError` at the deadline.
    """
    return _measured(artifact, plan, context)[0]


def _measured(artifact: Artifact, plan: Plan, context: Context) -> tuple[CountReport, ProfiledRun]:
    """The report of `measure`, and the golden run that was checked."""
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
    """Run the golden inputs under emulation and return the outputs, unjudged.

    Any qemu is enough. One that counts also proves the arithmetic, by the multiply-accumulates executed.
    Raises `MissingToolError` if there is no qemu, `ParityError` if the runtime executed nothing in the
    arithmetic that it names, and the errors of `measure`.
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
    """See `mocovit_deploy.targets.Target`. Raises `MissingToolError` without an emulator that counts.

    Only the first golden sample is run and counted.
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
    """The emulator that counts; None if there is none, or if the user named another qemu."""
    if os.environ.get(VARIABLE):
        return None
    try:
        return emulator.find_emulator()
    except MissingToolError:
        return None


def proved(artifact: Artifact, run: ProfiledRun, regions: Sequence[Counts]) -> ProfiledRun:
    """`run` with its arithmetic checked against the multiply-accumulates executed (`regions`).

    If floats were multiplied in fp16 and in fp32, the arithmetic is `MIXED`, unless `NEARLY_ALL` were in
    fp16. The name of the runtime then tells the share of MACs in any other arithmetic.
    Raises `ParityError` if no MAC was executed in the arithmetic that the runtime names. For `INT8_AND_HALF`
    only int8 is checked, because operators in half precision may only add.
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
    """A folder in which every path is short and the same on every machine.

    The length of a program's command line moves its stack, which changes a few instructions. So the command
    line must not hold paths of this machine: links lead to the bundle and the model.
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
        raise UsageError("the emulated target needs a core; give --cpu")
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
    """The instructions of each operator, from the one inference that the counting clock profiled."""
    region = emulator.read_counts(folder / _TICKS)[-1]
    return counted(checked.executed, {tick.number: tick.instructions for tick in region.ticks})


def _warnings(plan: Plan, counts: Counts, checked: ProfiledRun) -> tuple[str, ...]:
    found = []
    if plan.threads > 1:
        found.append(
            "counts are those of all threads, with their waiting; no milliseconds are modelled from them"
        )
    if plan.threads > CORES:
        found.append(f"{plan.threads} threads share the {CORES} emulated cores")
    if plan.per_op and plan.runtime == "onnxruntime":
        found.append(
            "no counts of operators: ONNX Runtime does not report where in its counts an operator begins"
        )
    executed = _arithmetic(counts)
    if executed not in (*checked.arithmetic.split(" and "), "unknown") and checked.arithmetic != MIXED:
        found.append(f"most multiplications executed were {executed}, the operators say {checked.arithmetic}")
    return tuple(found)


def _arithmetic(counts: Counts) -> str:
    """The arithmetic of most multiply-accumulates executed; "unknown" without any."""
    by_width = _macs_by_arithmetic(counts)
    return max(by_width, key=lambda width: by_width[width]) if any(by_width.values()) else "unknown"


def _macs_by_arithmetic(counts: Counts) -> dict[str, int]:
    macs = counts.macs
    return {
        "fp32": macs["fp32"],
        "fp16": macs["fp16"],
        "int8": macs["int8_dot"] + macs["int8_matmul"] + macs["widening_mla"],
    }
