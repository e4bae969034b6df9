"""Target `adb`: check the outputs of a file on a phone, then time it there in rounds that must be steady."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.devices.wanted import Wanted
from benchmarks.reports.plan import PHONE_MIN_S, PHONE_RUNS, Plan
from benchmarks.reports.report import Device, LatencyReport
from benchmarks.reports.rounds import PhoneReading, Round
from benchmarks.targets.adb.probe import describe_clusters
from benchmarks.targets.adb.protocol import (
    LIMITS,
    HotError,
    await_cool,
    missing_facts,
    shortened,
    slower_clock,
    verdict,
    while_sampling,
)
from benchmarks.targets.adb.push import push
from benchmarks.targets.adb.remote import Remote
from benchmarks.targets.adb.session import Held, Session, opened
from benchmarks.targets.adb.state import State, read_state
from benchmarks.targets.bench.process import BenchReport, timing_options
from benchmarks.targets.checked import ReadyFile, check_first, latency_report
from benchmarks.targets.context import Context, ProfiledRun
from benchmarks.targets.plain import (
    counts_not,
    hardware_plan,
    plain_run,
    plain_times,
    present_bundle,
    timing_plan,
    unjudged,
)
from benchmarks.toolchain import bundle as bundles
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import TransientDeviceError
from mocovit_deploy.formats import format_named
from mocovit_deploy.targets import GoldenRun, InferenceTimes, InstructionCount, RunConditions
from mocovit_deploy.terminal.deadline import OverdueError

DEFAULT_CORES = "prime"
_PROFILED_INFERENCES = 20
_ATTEMPTS = 3
_PAUSE_S = 2.0

Result = TypeVar("Result")


def measure(artifact: Artifact, plan: Plan, context: Context) -> LatencyReport:
    """Check the outputs of a file on the phone, then time it.

    After a lost connection the measurement is tried again, up to twice. Raises `ParityError` if the outputs
    are not those of the original network, `UsageError` for a model that the runtime refuses, `DeviceError`
    for a phone that cannot be measured on. A phone that does not get steady raises nothing here: the report
    says so (`unsteady`).
    """
    return _attempted(context, plan, lambda held: _measure(artifact, plan, context, held))


def profile_golden(artifact: Artifact, plan: Plan, context: Context) -> ProfiledRun:
    """Run the golden inputs on the phone and return the outputs, unjudged. Raises like `measure`."""

    def once(held: Held) -> ProfiledRun:
        with _prepared(artifact, plan, context, held) as remote:
            return _ready(artifact, plan, context, remote).run_golden(profiled=1)

    return _attempted(context, plan, once)


def run_golden(artifact: Artifact, golden: Golden, conditions: RunConditions) -> GoldenRun:
    """See `mocovit_deploy.targets.Target`. The phone is that of ANDROID_SERIAL, or the only one."""
    plan = hardware_plan(artifact, conditions)
    return plain_run(profile_golden, artifact, golden, plan, present_bundle(plan, conditions))


def count(_artifact: Artifact, _golden: Golden, _conditions: RunConditions) -> InstructionCount:
    """`UsageError`: this target takes times."""
    raise counts_not("adb")


def take_times(artifact: Artifact, golden: Golden, conditions: RunConditions) -> InferenceTimes:
    """See `mocovit_deploy.targets.Target`. The phone is that of ANDROID_SERIAL, or the only one."""
    plan = timing_plan(artifact, conditions, runs=PHONE_RUNS, min_s=PHONE_MIN_S, cores=DEFAULT_CORES)
    context = unjudged(golden.first, present_bundle(plan, conditions))
    return plain_times(measure(artifact, plan, context))


def _attempted(context: Context, plan: Plan, once: Callable[[Held], Result]) -> Result:
    with _session(context) as session:
        for left in reversed(range(_ATTEMPTS)):
            try:
                return once(session.hold(plan.cores or DEFAULT_CORES))
            except (HotError, OverdueError):
                raise
            except TransientDeviceError as error:
                if not left:
                    raise
                context.say(f"{error}; trying again")
                time.sleep(_PAUSE_S)
                session.again()
        raise AssertionError("the last attempt returns or raises")


@contextmanager
def _session(context: Context) -> Iterator[Session]:
    if context.session is not None:
        yield context.session
    else:
        with opened(Wanted(), context.say) as session:
            yield session


@contextmanager
def _prepared(artifact: Artifact, plan: Plan, context: Context, held: Held) -> Iterator[Remote]:
    bundle = bundles.bundle_at(context.bundle, plan.runtime, deadline_s=plan.deadline_s)
    copied = push(held.adb, f"{held.folder}/bundle", bundle.loaded_paths, executable=True)
    model = f"model-{artifact.sha256[:16]}{artifact.path.suffix}"
    second = push(held.adb, held.folder, {model: artifact.path})
    context.say(
        f"{artifact.path.name}: {copied.files + second.files} files copied, "
        f"{(copied.bytes + second.bytes) / 1e6:.1f} MB; the other files were already there"
    )
    with tempfile.TemporaryDirectory(prefix="mocovit-adb-") as name:
        yield Remote(held, bundle, model, plan, Path(name))


def _ready(artifact: Artifact, plan: Plan, context: Context, remote: Remote) -> ReadyFile:
    return ReadyFile(
        artifact=artifact,
        plan=plan,
        context=context,
        execute=remote,
        folder=remote.folder,
        version=remote.bundle.version,
        build=remote.bundle.build,
        operators=format_named(artifact.format).operators(artifact),
    )


def _measure(artifact: Artifact, plan: Plan, context: Context, held: Held) -> LatencyReport:
    with _prepared(artifact, plan, context, held) as remote:
        ready = _ready(artifact, plan, context, remote)
        checked = check_first(ready, then="timing", profiled=_PROFILED_INFERENCES)
        taken = _take_rounds(remote, plan, context, checked.samples)
    counted = [entry.samples_ms for entry in taken.rounds if not entry.rejected]
    kept = counted if not taken.unsteady else [entry.samples_ms for entry in taken.rounds]
    return latency_report(
        checked,
        taken.first,
        target="adb",
        device=Device(facts=_facts(held), state_before=taken.before.flat(), state_after=taken.after.flat()),
        samples_ms=tuple(ms for one in kept for ms in one),
        warnings=_warnings(plan, held, taken),
        rounds=taken.rounds,
        unsteady=taken.unsteady,
        tools={"adb": held.adb.version()},
    )


@dataclass(frozen=True)
class _Taken:
    rounds: tuple[Round, ...]
    first: BenchReport
    """The report of the first accepted round; of the first round if none is accepted."""
    before: State
    after: State
    unsteady: str


def _take_rounds(remote: Remote, plan: Plan, context: Context, samples: int | None) -> _Taken:
    """Take rounds until enough are accepted, or too many are rejected."""
    held, session = remote.held, context.session
    wanted = Wanted() if session is None else session.wanted
    rounds: list[Round] = []
    reports: list[BenchReport] = []
    good: list[list[PhoneReading]] = []
    states: list[State] = []
    while len(good) < wanted.rounds:
        before = await_cool(
            lambda: read_state(held.adb, held.probe),
            start_c=states[0].cpu_c if states else None,
            cooldown_s=wanted.cooldown_s,
            limits=LIMITS,
            say=context.say,
        )
        report, readings = remote.run(timing_options(plan), samples=samples, watched=True)
        after = read_state(held.adb, held.probe)
        from_s = (report.load_ms + report.first_inference_ms + sum(report.warmup_ms)) / 1e3
        seen = while_sampling(readings, from_s, report.samples_ms)
        why = verdict(seen, before, after, held.cores, LIMITS, cpu=report.cpu) or slower_clock(
            good, seen, LIMITS
        )
        rounds.append(
            Round(
                samples_ms=report.samples_ms,
                sampling_from_s=from_s,
                readings=readings,
                state_before=before.flat(),
                rejected=why,
            )
        )
        reports.append(report)
        states += [before, after]
        if not why:
            good.append(seen)
            continue
        context.say(f"round {len(rounds)} is rejected: {why}")
        rejected = len(rounds) - len(good)
        if rejected > LIMITS.rejections:
            return _Taken(
                tuple(rounds),
                reports[0],
                states[0],
                after,
                f"{rejected} rounds were rejected, the last because {why}",
            )
    first = next(report for report, entry in zip(reports, rounds, strict=True) if not entry.rejected)
    return _Taken(tuple(rounds), first, states[0], states[-1], "")


def _facts(held: Held) -> dict[str, str]:
    told = {name: value for name, value in held.probe.properties.items() if value and name != "serial"}
    serial = held.probe.properties["serial"] or held.adb.serial
    return {
        **told,
        "cores": f"{held.cores.name}, mask {held.cores.mask}",
        "clusters": describe_clusters(held.probe) or "unknown",
        "governor": "performance" if held.rooted else "the phone's own",
        "phone": hashlib.sha256(serial.encode()).hexdigest()[:12],
    }


def _warnings(plan: Plan, held: Held, taken: _Taken) -> tuple[str, ...]:
    readings = [reading for entry in taken.rounds for reading in entry.readings]
    found = [*missing_facts(readings, taken.after), *shortened(plan.runs, plan.min_s)]
    if plan.threads > len(held.cores.numbers):
        found.append(
            f"{plan.threads} threads on {len(held.cores.numbers)} cores wait for each other; see --cores"
        )
    if taken.unsteady:
        found.insert(0, f"no result: {taken.unsteady}")
    return tuple(found)
