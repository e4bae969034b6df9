"""`mocovit-bench doctor`: walk through all that measuring on a phone takes, and say which step fails and why.

    adb - phone - cores - folder - copying - loader - bench - inference

The inference is that of a small network that comes with this program, and its outputs are checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.devices.wanted import Wanted
from benchmarks.reports.plan import Plan
from benchmarks.targets import subject
from benchmarks.targets.adb.choose import choose
from benchmarks.targets.adb.client import Adb, quoted
from benchmarks.targets.adb.failures import clean
from benchmarks.targets.adb.locate import find_adb
from benchmarks.targets.adb.measuring import profile_golden
from benchmarks.targets.adb.probe import describe_clusters, probe
from benchmarks.targets.adb.push import push
from benchmarks.targets.adb.session import Held, Session, opened
from benchmarks.targets.context import Context, Say, Verify, verdict_of
from benchmarks.toolchain import bundle as bundles
from benchmarks.toolchain.bundle import Bundle
from mocovit_deploy.errors import DeployError, StableDeviceError

MODEL = Path(__file__).parent / "doctor_model" / "tiny.tflite"
STEPS = ("adb", "phone", "cores and folder", "copying", "loader", "bench", "inference")
_BENCH_USAGE = 2
_NO_LOADER = (
    "this phone does not start the bundle's loader; measure with Google's own program instead: "
    "mocovit-bench run FILE --target adb --benchmark-binary PATH"
)


@dataclass(frozen=True)
class Step:
    """One step, and what it showed or why it failed."""

    name: str
    ok: bool
    said: str
    exit_status: int = 0


def examine(
    wanted: Wanted, *, cores: str | None, bundle: Path | None, verify: Verify, say: Say, deadline_s: float
) -> tuple[Step, ...]:
    """Take every step until one fails; each is said as it is taken. Raises nothing a phone can cause."""
    found: list[Step] = []
    with opened(wanted, say) as session:
        walk = _walk(session, cores or "prime", bundle, verify, deadline_s)
        for name in STEPS:
            try:
                step = Step(name, True, next(walk))
            except DeployError as error:
                step = Step(name, False, str(error), error.exit_status)
            found.append(step)
            say(f"{'ok' if step.ok else 'FAILED':<7} {step.name:<17} {step.said}")
            if not step.ok:
                break
    return tuple(found)


def judge(steps: Sequence[Step]) -> None:
    """Raise a `DeployError` with the exit status of the step that failed, if one did."""
    failed = next((step for step in steps if not step.ok), None)
    if failed is None:
        return
    error = DeployError(f"step {failed.name!r} of {len(STEPS)} failed: {failed.said}")
    error.exit_status = failed.exit_status
    raise error


def _walk(
    session: Session, cores: str, bundle: Path | None, verify: Verify, deadline_s: float
) -> Iterator[str]:
    """Take one step for each `next`, giving what it showed."""
    program = find_adb()
    yield f"{program} ({Adb(program).version()})"

    session.adb = choose(session.wanted)[0]
    found = probe(session.adb)
    told = found.properties
    yield (
        f"{clean(session.adb.serial)}: {told['maker']} {told['model']}, {told['soc'] or told['board']}, "
        f"Android {told['android']}"
    )

    held = session.hold(cores)
    fixed = "governor fixed by root" if held.rooted else "no root used"
    yield f"{describe_clusters(found)}; {cores} is mask {held.cores.mask}, read back; {fixed}; {held.folder}"

    opened_bundle = bundles.chosen(bundle, "litert", deadline_s=deadline_s)
    copied = push(held.adb, f"{held.folder}/bundle", opened_bundle.loaded_paths, executable=True)
    yield f"{copied.files} files, {copied.bytes / 1e6:.1f} MB, read back unchanged"

    yield _loader(held)
    yield _bench(held, opened_bundle)
    yield _inference(session, opened_bundle, verify, deadline_s, cores)


def _loader(held: Held) -> str:
    answer = held.adb.shell(f"{quoted(f'{held.folder}/bundle/{bundles.LOADER}')} --version </dev/null")
    if not answer.ok:
        raise StableDeviceError(f"{_NO_LOADER} ({answer.reason()})")
    return clean(answer.text.splitlines()[0]) if answer.text else "starts"


def _bench(held: Held, bundle: Bundle) -> str:
    """Started without a model, the bench must say just that: then its libraries were found."""
    words = bundle.command(Path(held.folder) / "bundle")
    answer = held.adb.shell(" ".join(quoted(word) for word in words) + " </dev/null")
    if answer.status != _BENCH_USAGE:
        raise StableDeviceError(f"the bench does not start: {answer.reason()}")
    return f"starts with the C library of the bundle; runtime {bundle.runtime} {bundle.version}"


def _inference(session: Session, bundle: Bundle, verify: Verify, deadline_s: float, cores: str) -> str:
    artifact, golden = subject.load(MODEL, checked=True)
    context = Context(golden=golden, verify=verify, say=_quiet, bundle=bundle.path, session=session)
    plan = Plan(runtime=bundle.runtime, cores=cores, deadline_s=deadline_s)
    run = profile_golden(artifact, plan, context)
    return f"{run.runtime}, {run.arithmetic} arithmetic: {verdict_of(artifact, context, run)}"


def _quiet(line: str) -> None:
    """The doctor says its own lines."""
