"""Run the bench on the phone: its files go there, it runs bound to cores, its answers come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bundle import Bundle
from benchmarks.plan import Plan
from benchmarks.process import Finished
from benchmarks.rounds import Reading
from benchmarks.targets.adb.client import Answer, quoted
from benchmarks.targets.adb.keeper import PID, end_bench
from benchmarks.targets.adb.push import push
from benchmarks.targets.adb.session import Held
from benchmarks.targets.adb.state import LOG, RUNNING, parse_log, sampler
from benchmarks.targets.bench_process import (
    INPUT,
    OUTPUT,
    REPORT,
    BenchReport,
    bench_words,
    failure,
    read_report,
)
from mocovit_deploy.errors import StableDeviceError, TransientDeviceError

_GRACE_S = 15.0
"""The bench ends itself at its deadline; this much later the connection is given up and it is killed."""
_MOST_OUTPUT = 1 << 28
_MOST_REPORT = 1 << 26
_MOST_SAID = 1 << 20
_READ_BYTES_PER_S = 1 << 20
_DEADLINE_STATUS = 7


@dataclass(frozen=True)
class Remote:
    """A model on a phone, with everything that runs it."""

    held: Held
    bundle: Bundle
    model: str
    plan: Plan
    folder: Path
    """Here: where the input comes from and the answers go to."""

    def __call__(self, options: Sequence[str], *, samples: int | None) -> BenchReport:
        """Run the bench once; raises what it, the connection or the phone's storage say."""
        return self.run(options, samples=samples, watched=False)[0]

    def run(
        self, options: Sequence[str], *, samples: int | None, watched: bool
    ) -> tuple[BenchReport, tuple[Reading, ...]]:
        """The same, and if `watched` what the phone's clocks and temperature were meanwhile."""
        adb, there = self.held.adb, self.held.folder
        if samples is not None:
            push(adb, there, {INPUT: self.folder / INPUT})
        prefix = f"{there}/"
        moved = [f"--output={prefix}{OUTPUT}" if word == f"--output={OUTPUT}" else word for word in options]
        words = [
            "taskset", self.held.cores.mask, *self.bundle.command(Path(there) / "bundle"),
            *bench_words(prefix + self.model, self.plan, moved, samples=samples, folder=prefix),
        ]  # fmt: skip
        self._execute(words, watched=watched)
        output = any(word.startswith("--output=") for word in options)
        for name, most in ((REPORT, _MOST_REPORT), *([(OUTPUT, _MOST_OUTPUT)] if output else [])):
            deadline_s = 30.0 + most / _READ_BYTES_PER_S
            (self.folder / name).write_bytes(
                adb.read(prefix + name, most_bytes=most, deadline_s=deadline_s)
            )
        readings = self._readings() if watched else ()
        return read_report(self.folder / REPORT), readings

    def _execute(self, words: Sequence[str], *, watched: bool) -> None:
        held = self.held
        watch = f"sh -c {quoted(sampler(held.probe, held.cores))} </dev/null >{LOG} 2>/dev/null &"
        slow = held.probe.clusters[0] if held.probe.clusters else ()
        if slow and not set(slow) & set(held.cores.numbers):  # where it does not disturb
            mask = sum(1 << core for core in slow)
            watch = f"taskset {mask:x} {watch}"
        command = " ".join(quoted(word) for word in words)
        script = "\n".join(
            [
                f"cd {quoted(held.folder)} || exit 1",
                f"rm -f {REPORT} {OUTPUT} {LOG}; touch {RUNNING}",
                *([watch] if watched else []),
                f"sh -c 'echo $$ > {PID}; exec \"$@\"' bench {command} </dev/null",
                f"s=$?; rm -f {RUNNING} {PID}; exit $s",
            ]
        )
        try:
            answer = held.adb.shell(
                script, deadline_s=self.plan.deadline_s + _GRACE_S, most_bytes=_MOST_SAID
            )
        except BaseException:
            end_bench(held.adb, held.folder)
            raise
        if not answer.ok:
            raise _failed(words, answer, self.plan, self.bundle)

    def _readings(self) -> tuple[Reading, ...]:
        held = self.held
        raw = held.adb.read(f"{held.folder}/{LOG}", most_bytes=_MOST_SAID)
        return parse_log(raw.decode("ascii", errors="replace"), held.cores)


def _failed(words: Sequence[str], answer: Answer, plan: Plan, bundle: Bundle) -> Exception:
    """The error for a bench that failed on the phone."""
    if answer.status in (126, 127):
        return StableDeviceError(
            f"the phone does not start the bundle's loader ({answer.reason()}); measure with Google's own program: "
            "--benchmark-binary PATH"
        )
    if answer.status == _DEADLINE_STATUS:  # a model that is too slow will be so the next time
        return StableDeviceError(
            f"the run did not end within its deadline of {plan.deadline_s:g} s; give it more with --deadline-s"
        )
    if "No space left" in answer.stderr:
        return StableDeviceError("the phone's storage is full; make room, or give --remote-folder elsewhere")
    status = answer.status if answer.status < 128 else 128 - answer.status
    found = failure(Finished(tuple(words), status, answer.text, answer.stderr), plan)
    if isinstance(found, TransientDeviceError):
        return StableDeviceError(str(found))
    return found
