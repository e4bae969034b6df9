"""Phones that a command holds: one, or all that are connected at the same time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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


@contextmanager
def held(wanted: Wanted | None, say: Say) -> Iterator[Session | None]:
    """The phone that is meant, for the whole command; None if none is."""
    if wanted is None:
        yield None
        return
    from benchmarks.targets.adb.session import opened

    with opened(wanted, say) as session:
        yield session


def on_each(
    wanted: Wanted | None, measure: Callable[[Session | None, Say], list[Report]], say: Say
) -> tuple[list[Report], DeployError | None]:
    """Call `measure` with each phone that is meant, all at the same time; once with None if none is.

    Returns what was measured, and what the first of several phones that failed raised: one that fails does
    not cost the others' reports.
    """
    if wanted is None or not wanted.all_devices:
        with held(wanted, say) as session:
            return measure(session, say), None
    from benchmarks.targets.adb.choose import choose_phones
    from benchmarks.targets.adb.failures import clean
    from benchmarks.targets.adb.session import opened

    with ExitStack() as stack:
        # Entered first, the pool is left last: dropped phones end its threads.
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
    return reports, failed


def _named(serial: str, say: Say) -> Say:
    from benchmarks.targets.adb.failures import clean

    return lambda line: say(f"[{clean(serial)}] {line}")


def _outcome(result: Callable[[], list[Report]]) -> list[Report] | DeployError:
    try:
        return result()
    except DeployError as error:
        return error


def run_benchmark_model(wanted: Wanted, binary: Path, model: Path, plan: Plan, say: Say) -> Averages:
    """Google's own program on a phone, for phones that do not start the bundle's loader."""
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
