"""Running the bench on the phone: copy its input, run it bound to cores, and fetch its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.reports.plan import Plan
from benchmarks.reports.rounds import PhoneReading
from benchmarks.targets.adb.client import Answer, SilentError, quoted
from benchmarks.targets.adb.keeper import PID, end_bench, started
from benchmarks.targets.adb.push import push
from benchmarks.targets.adb.session import Held
from benchmarks.targets.adb.state import LOG, RUNNING, parse_log, sampler
from benchmarks.targets.bench.process import (
    INPUT,
    OUTPUT,
    REPORT,
    BenchReport,
    bench_failure,
    bench_words,
    read_report,
)
from benchmarks.toolchain.bundle import Bundle
from mocovit_deploy.errors import DeployError, StableDeviceError, TransientDeviceError
from mocovit_deploy.untrusted.process import Finished

_GRACE_S = 15.0
"""The bench ends itself at its deadline. This much later the connection is given up and the bench killed."""
_MOST_OUTPUT = 1 << 28
_MOST_REPORT = 1 << 26
_MOST_SAID = 1 << 20
_READ_BYTES_PER_S = 1 << 20
_FETCH_S = 30.0
_DEADLINE_STATUS = 7
_LAST_SIGNAL = 64


class WatchedRun(NamedTuple):
    """One run of the bench on a phone."""

    report: BenchReport
    readings: tuple[PhoneReading, ...]
    """Clocks and temperatures during the run; empty if it was not watched."""


@dataclass(frozen=True)
class Remote:
    """A model on a phone, with the bundle that runs it."""

    held: Held
    bundle: Bundle
    model: str
    plan: Plan
    folder: Path
    """The folder on this machine with the input, which also takes the report and the outputs."""

    def __call__(self, options: Sequence[str], *, samples: int | None) -> BenchReport:
        """Run the bench once.

        Raises `UsageError` for a model that the runtime refuses, `StableDeviceError` for a full storage, a
        missed deadline or a loader that does not start, `TransientDeviceError` for a broken connection.
        """
        return self.run(options, samples=samples, watched=False).report

    def run(self, options: Sequence[str], *, samples: int | None, watched: bool) -> WatchedRun:
        """Run the bench once, and read the phone's clocks and temperatures meanwhile if `watched`."""
        adb, there = self.held.adb, self.held.folder
        if samples is not None:
            push(adb, there, {INPUT: self.folder / INPUT})
        prefix = f"{there}/"
        moved = [f"--output={prefix}{OUTPUT}" if word == f"--output={OUTPUT}" else word for word in options]
        words = [
            "taskset",
            self.held.cores.mask,
            *self.bundle.command(Path(there) / "bundle"),
            *bench_words(prefix + self.model, self.plan, moved, samples=samples, folder=prefix),
        ]
        self._execute(words, watched=watched)
        self._fetch(REPORT, _MOST_REPORT)
        report = self._report()
        if any(word.startswith("--output=") for word in options):
            self._fetch(OUTPUT, _MOST_OUTPUT)
        return WatchedRun(report, self._readings() if watched else ())

    def _fetch(self, name: str, most_bytes: int) -> None:
        deadline_s = _FETCH_S + most_bytes / _READ_BYTES_PER_S
        remote = f"{self.held.folder}/{name}"
        data = self.held.adb.read(remote, most_bytes=most_bytes, deadline_s=deadline_s)
        (self.folder / name).write_bytes(data)

    def _report(self) -> BenchReport:
        try:
            return read_report(self.folder / REPORT)
        except DeployError as error:  # the phone's fault, not an internal error of this program
            raise StableDeviceError(f"the phone sent back an unreadable report: {error}") from None

    def _execute(self, words: Sequence[str], *, watched: bool) -> None:
        held = self.held
        watch = f"sh -c {quoted(sampler(held.probe, held.cores))} </dev/null >{LOG} 2>/dev/null &"
        slow = held.probe.clusters[0] if held.probe.clusters else ()
        if slow and not set(slow) & set(held.cores.numbers):  # a cluster that is not measured on
            mask = sum(1 << core for core in slow)
            watch = f"taskset {mask:x} {watch}"
        command = " ".join(quoted(word) for word in words)
        script = "\n".join(
            [
                f"cd {quoted(held.folder)} || exit 1",
                f"rm -f {REPORT} {OUTPUT} {LOG}; touch {RUNNING}",
                *([watch] if watched else []),
                started(command),
                f"s=$?; rm -f {RUNNING} {PID}; exit $s",
            ]
        )
        try:
            answer = held.adb.shell(script, deadline_s=self.plan.deadline_s + _GRACE_S, most_bytes=_MOST_SAID)
        except SilentError:
            end_bench(held.adb, held.folder)
            raise _too_slow(self.plan) from None
        except BaseException:
            end_bench(held.adb, held.folder)
            raise
        if not answer.ok:
            raise _failed(words, answer, self.plan, self.bundle)

    def _readings(self) -> tuple[PhoneReading, ...]:
        held = self.held
        raw = held.adb.read(f"{held.folder}/{LOG}", most_bytes=_MOST_SAID)
        return parse_log(raw.decode("ascii", errors="replace"), held.cores)


def _too_slow(plan: Plan) -> StableDeviceError:
    """The error for a missed deadline. It is stable: the model would be too slow the next time too."""
    return StableDeviceError(
        f"the run did not end within its deadline of {plan.deadline_s:g} s; give it more with --deadline-s"
    )


def _failed(words: Sequence[str], answer: Answer, plan: Plan, bundle: Bundle) -> Exception:
    """The error for a bench that failed on the phone."""
    if answer.status in (126, 127):
        return StableDeviceError(
            f"the phone does not start the bundle's loader ({answer.reason()}); "
            "measure with Google's own program: --benchmark-binary PATH"
        )
    if answer.status == _DEADLINE_STATUS:
        return _too_slow(plan)
    if "No space left" in answer.stderr:
        return StableDeviceError("the phone's storage is full; make room, or give --remote-folder elsewhere")
    ended_by_signal = 128 < answer.status <= 128 + _LAST_SIGNAL
    status = 128 - answer.status if ended_by_signal else answer.status
    found = bench_failure(Finished(tuple(words), status, answer.text, answer.stderr), plan)
    if isinstance(found, TransientDeviceError):
        return StableDeviceError(str(found))
    return found
