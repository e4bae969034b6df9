"""`mocovit-bench doctor`: check, step by step, that a phone can be measured on, and say what fails and why.

    adb ---- phone - cores and folder - copying - loader - bench - inference
    bundle ------------------------------/

After a failed step, only the steps that need it are skipped: without a phone the bundle is still examined.
The inference is that of a small network that comes with this program, and its outputs are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.devices.wanted import Wanted
from benchmarks.reports.plan import Plan
from benchmarks.targets import subject
from benchmarks.targets.adb.choose import choose_phones
from benchmarks.targets.adb.client import Adb, quoted
from benchmarks.targets.adb.failures import clean
from benchmarks.targets.adb.locate import find_adb
from benchmarks.targets.adb.measuring import profile_golden
from benchmarks.targets.adb.probe import describe_clusters, probe_phone
from benchmarks.targets.adb.push import push
from benchmarks.targets.adb.session import Held, Session, opened
from benchmarks.targets.context import Context, Say, Verify, verdict_of
from benchmarks.toolchain import bundle as bundles
from benchmarks.toolchain.bundle import Bundle
from mocovit_deploy.errors import DeployError, DeviceError, StableDeviceError

MODEL = Path(__file__).parent / "doctor_model" / "tiny.tflite"
_BENCH_USAGE = 2
_NO_LOADER = (
    "this phone does not start the bundle's loader; measure with Google's own program instead: "
    "mocovit-bench run FILE --target adb --benchmark-binary PATH"
)


@dataclass(frozen=True)
class DoctorStep:
    """One step, and its finding, or why it failed or was skipped."""

    name: str
    ok: bool
    said: str
    """The finding, or the reason."""
    exit_status: int = 0
    """0 if the step passed or was skipped."""


@dataclass
class _Walk:
    """The findings that later steps need."""

    session: Session
    cores: str
    bundle_path: Path | None
    verify: Verify
    deadline_s: float
    opened_bundle: Bundle | None = None

    @property
    def held(self) -> Held:
        """The phone, held and bound to the chosen cores. Raises like `Session.hold`."""
        return self.session.hold(self.cores)

    @property
    def bundle(self) -> Bundle:
        """The bundle, made at the first use."""
        if self.opened_bundle is None:
            self.opened_bundle = bundles.bundle_at(self.bundle_path, "litert", deadline_s=self.deadline_s)
        return self.opened_bundle


def examine(
    wanted: Wanted, *, cores: str | None, bundle: Path | None, verify: Verify, say: Say, deadline_s: float
) -> tuple[DoctorStep, ...]:
    """Take every step whose needs are met, and print each. Raises no error that a phone can cause."""
    found: dict[str, DoctorStep] = {}
    with opened(wanted, say) as session:
        walk = _Walk(session, cores or "prime", bundle, verify, deadline_s)
        for name, (needs, take) in STEPS.items():
            missing = next((need for need in needs if not found[need].ok), None)
            if missing is not None:
                step, word = DoctorStep(name, False, f"not tried: needs {missing}"), "-"
            else:
                try:
                    step, word = DoctorStep(name, True, take(walk)), "ok"
                except DeployError as error:
                    step, word = DoctorStep(name, False, str(error), error.exit_status), "FAILED"
            found[name] = step
            say(f"{word:<7} {step.name:<17} {step.said}")
    return tuple(found.values())


def raise_first_failure(steps: Sequence[DoctorStep]) -> None:
    """Raise a `DeviceError` with the exit status of the first failed step, if there is one."""
    failed = [step for step in steps if step.exit_status]
    if not failed:
        return
    also = f"; {', '.join(step.name for step in failed[1:])} failed too" if failed[1:] else ""
    error = DeviceError(f"step {failed[0].name!r} of {len(STEPS)} failed: {failed[0].said}{also}")
    error.exit_status = failed[0].exit_status
    raise error


def _adb(_walk: _Walk) -> str:
    program = find_adb()
    return f"{program} ({Adb(program).version()})"


def _bundle(walk: _Walk) -> str:
    return f"{walk.bundle.runtime} {walk.bundle.version}, {len(walk.bundle.loaded_paths)} files"


def _phone(walk: _Walk) -> str:
    session = walk.session
    session.adb = choose_phones(session.wanted, session.until)[0]
    told = probe_phone(session.adb).properties
    return (
        f"{clean(session.adb.serial)}: {told['maker']} {told['model']}, {told['soc'] or told['board']}, "
        f"Android {told['android']}"
    )


def _cores(walk: _Walk) -> str:
    held = walk.held
    fixed = "governor fixed by root" if held.rooted else "no root used"
    return (
        f"{describe_clusters(held.probe)}; {walk.cores} is mask {held.cores.mask}, read back; {fixed}; "
        f"{held.folder}"
    )


def _copying(walk: _Walk) -> str:
    place = f"{walk.held.folder}/bundle"
    copied = push(walk.held.adb, place, walk.bundle.loaded_paths, executable=True)
    return f"{copied.files} files, {copied.bytes / 1e6:.1f} MB, read back unchanged"


def _loader(walk: _Walk) -> str:
    held = walk.held
    answer = held.adb.shell(f"{quoted(f'{held.folder}/bundle/{bundles.LOADER}')} --version </dev/null")
    if not answer.ok:
        raise StableDeviceError(f"{_NO_LOADER} ({answer.reason()})")
    return clean(answer.text.splitlines()[0]) if answer.text else "starts"


def _bench(walk: _Walk) -> str:
    """Start the bench without a model. If it complains of just that, its libraries were found."""
    held, bundle = walk.held, walk.bundle
    words = bundle.command(Path(held.folder) / "bundle")
    answer = held.adb.shell(" ".join(quoted(word) for word in words) + " </dev/null")
    if answer.status != _BENCH_USAGE:
        raise StableDeviceError(f"the bench does not start: {answer.reason()}")
    return f"starts with the C library of the bundle; runtime {bundle.runtime} {bundle.version}"


def _inference(walk: _Walk) -> str:
    artifact, golden = subject.load_subject(MODEL, checked=True)
    bundle = walk.bundle
    context = Context(golden=golden, verify=walk.verify, say=_quiet, bundle=bundle.path, session=walk.session)
    plan = Plan(runtime=bundle.runtime, cores=walk.cores, deadline_s=walk.deadline_s)
    run = profile_golden(artifact, plan, context)
    return f"{run.runtime}, {run.arithmetic} arithmetic: {verdict_of(artifact, context, run)}"


def _quiet(line: str) -> None:
    """Print nothing: the doctor prints its own lines."""


STEPS: Mapping[str, tuple[tuple[str, ...], Callable[[_Walk], str]]] = {
    "adb": ((), _adb),
    "bundle": ((), _bundle),
    "phone": (("adb",), _phone),
    "cores and folder": (("phone",), _cores),
    "copying": (("cores and folder", "bundle"), _copying),
    "loader": (("copying",), _loader),
    "bench": (("loader",), _bench),
    "inference": (("bench",), _inference),
}
"""By name, in order: the steps that a step needs, and its function."""
