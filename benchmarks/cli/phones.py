"""The phones that a command holds: one, or all connected ones at the same time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.reports.report import Report
from benchmarks.targets.context import Say
from mocovit_deploy.errors import DeployError, StableDeviceError

if TYPE_CHECKING:
    from benchmarks.devices.wanted import Wanted
    from benchmarks.reports.plan import Plan
    from benchmarks.targets.adb.session import Session
    from benchmarks.targets.benchmark_model import Averages

_MOST_SAID = 1 << 20
_GRACE_S = 15.0


@dataclass(frozen=True)
class Measured:
    """The reports of all phones, and the first error if one of several failed."""

    reports: list[Report]
    failed: DeployError | None = None


@contextmanager
def held(wanted: Wanted | None, say: Say) -> Iterator[Session | None]:
    """Hold the wanted phone for the whole block; None if `wanted` is None."""
    if wanted is None:
        yield None
        return
    from benchmarks.targets.adb.session import opened

    with opened(wanted, say) as session:
        yield session


def on_each(
    wanted: Wanted | None, measure: Callable[[Session | None, Say], list[Report]], say: Say
) -> Measured:
    """Call `measure` with each wanted phone, all at the same time; once with None if `wanted` is None.

    Of several phones, one that fails does not cost the reports of the others: its error is in `failed`.
    """
    if wanted is None or not wanted.all_devices:
        with held(wanted, say) as session:
            return Measured(measure(session, say))
    from benchmarks.targets.adb.choose import choose_phones
    from benchmarks.targets.adb.failures import clean
    from benchmarks.targets.adb.session import opened

    with ExitStack() as stack:
        # The pool is entered first, so it is left last: releasing the phones ends its threads.
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=64))
        running = []
        until = math.inf if wanted.deadline_s is None else time.monotonic() + wanted.deadline_s
        phones = choose_phones(wanted, until)
        for adb in phones:
            own = _named(adb.serial, say)
            session = stack.enter_context(opened(wanted, own, adb))
            running.append(pool.submit(measure, session, own))
        results = [_outcome(future.result) for future in running]
    for adb, result in zip(phones, results, strict=True):
        if isinstance(result, DeployError):
            say(f"[{clean(adb.serial)}] {result}")
    failed = next((result for result in results if isinstance(result, DeployError)), None)
    reports = [one for found in results if not isinstance(found, DeployError) for one in found]
    return Measured(reports, failed)


def _named(serial: str, say: Say) -> Say:
    from benchmarks.targets.adb.failures import clean

    return lambda line: say(f"[{clean(serial)}] {line}")


def _outcome(result: Callable[[], list[Report]]) -> list[Report] | DeployError:
    try:
        return result()
    except DeployError as error:
        return error


def run_benchmark_model(wanted: Wanted, binary: Path, model: Path, plan: Plan, say: Say) -> Averages:
    """Run Google's benchmark_model on a phone, such as one that cannot start the bundle's loader.

    Raises `StableDeviceError` if it fails there.
    """
    from benchmarks.targets.adb.client import quoted
    from benchmarks.targets.adb.keeper import started
    from benchmarks.targets.adb.push import push
    from benchmarks.targets.adb.session import opened
    from benchmarks.targets.adb.state import RUNNING
    from benchmarks.targets.benchmark_model import command, parse_averages

    with opened(wanted, say) as session:
        phone = session.hold(plan.cores or "prime")
        push(phone.adb, phone.folder, {"benchmark_model": binary}, executable=True)
        push(phone.adb, phone.folder, {"model": model})
        words = command(f"{phone.folder}/benchmark_model", f"{phone.folder}/model", plan)
        script = " ".join(quoted(word) for word in ["taskset", phone.cores.mask, *words])
        start = f"cd {quoted(phone.folder)} && touch {RUNNING} && {started(script)}"
        answer = phone.adb.shell(start, deadline_s=plan.deadline_s + _GRACE_S, most_bytes=_MOST_SAID)
    if not answer.ok:
        raise StableDeviceError(f"{binary.name} failed on the phone: {answer.reason()}")
    return parse_averages(f"{answer.text}\n{answer.stderr}")
