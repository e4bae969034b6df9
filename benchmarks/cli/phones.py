"""What the words of the command line mean for phones, and nothing where the target is another."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.reports.report import Report
from benchmarks.targets.context import Say
from mocovit_deploy.errors import DeployError, StableDeviceError, UsageError

if TYPE_CHECKING:
    from benchmarks.reports.plan import Plan
    from benchmarks.targets.adb.choose import Wanted
    from benchmarks.targets.benchmark_model import Averages

_WORDS = ("serial", "connect", "cores", "remote_folder", "keep", "no_root", "cooldown_s", "all_devices")
_MOST_SAID = 1 << 20
_GRACE_S = 15.0


def check_words(arguments: argparse.Namespace) -> None:
    """`UsageError` for a word about phones where no phone is meant."""
    if arguments.command == "doctor" or getattr(arguments, "target", "adb") == "adb":
        return
    words = _WORDS if arguments.command == "ab" else (*_WORDS, "rounds")
    for word in words:
        if getattr(arguments, word, None):
            raise UsageError(f"--{word.replace('_', '-')} goes with --target adb")


def plan_defaults(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a plan for a phone is unless the user says otherwise; nothing for the host."""
    if arguments.target != "adb":
        return {}
    from benchmarks.targets.adb.protocol import MIN_S, RUNS

    cores = arguments.cores or ("prime" if arguments.threads == 1 else "big")
    return {"runs": RUNS, "min_s": MIN_S, "cores": cores}


def wanted(arguments: argparse.Namespace, **changes: Any) -> Wanted:
    """The phone that is meant."""
    from benchmarks.targets.adb.choose import Wanted

    given = {
        name: value
        for name in ("serial", "connect", "remote_folder", "cooldown_s", "all_devices", "rounds")
        if (value := getattr(arguments, name, None)) is not None
    }
    return Wanted(**{**given, "keep": arguments.keep, "use_root": not arguments.no_root, **changes})


@contextmanager
def held(arguments: argparse.Namespace, say: Say, **changes: Any) -> Iterator[object | None]:
    """One phone for the whole command, as `Context.session` takes it; None for other targets."""
    if arguments.target != "adb":
        yield None
        return
    from benchmarks.targets.adb.session import opened

    with opened(wanted(arguments, **changes), say) as session:
        yield session


def on_each(
    arguments: argparse.Namespace, measure: Callable[[object | None, Say], list[Report]], say: Say
) -> tuple[list[Report], DeployError | None]:
    """Call `measure` with each phone that is meant, all at the same time; once with None for other targets.

    Returns what was measured, and what the first of several phones that failed raised: one that fails does
    not cost the others' reports.
    """
    if arguments.target != "adb" or not arguments.all_devices:
        with held(arguments, say) as session:
            return measure(session, say), None
    from benchmarks.targets.adb.choose import choose
    from benchmarks.targets.adb.failures import clean
    from benchmarks.targets.adb.session import opened

    meant = wanted(arguments)
    with ExitStack() as stack:
        # Entered first, the pool is left last: dropped phones end its threads.
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=64))
        running = []
        meant_phones = choose(meant)
        for adb in meant_phones:
            own = _named(adb.serial, say)
            session = stack.enter_context(opened(meant, own, adb))
            running.append(pool.submit(measure, session, own))
        results = [_outcome(future.result) for future in running]
    for adb, result in zip(meant_phones, results, strict=True):
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


def run_benchmark_model(arguments: argparse.Namespace, model: Path, plan: Plan, say: Say) -> Averages:
    """Google's own program on a phone, for phones that do not start the bundle's loader."""
    from benchmarks.targets.adb.client import quoted
    from benchmarks.targets.adb.keeper import started
    from benchmarks.targets.adb.push import push
    from benchmarks.targets.adb.session import opened
    from benchmarks.targets.adb.state import RUNNING
    from benchmarks.targets.benchmark_model import command, parse

    binary: Path = arguments.benchmark_binary
    if not binary.is_file():
        raise UsageError(f"{binary}: no such file; give the path of a benchmark_model program for Android")
    with opened(wanted(arguments), say) as session:
        phone = session.hold(plan.cores or "prime")
        push(phone.adb, phone.folder, {"benchmark_model": binary}, executable=True)
        push(phone.adb, phone.folder, {"model": model})
        words = command(f"{phone.folder}/benchmark_model", f"{phone.folder}/model", plan)
        script = " ".join(quoted(word) for word in ["taskset", phone.cores.mask, *words])
        start = f"cd {quoted(phone.folder)} && touch {RUNNING} && {started(script)}"
        answer = phone.adb.shell(start, deadline_s=plan.deadline_s + _GRACE_S, most_bytes=_MOST_SAID)
    if not answer.ok:
        raise StableDeviceError(f"{binary.name} failed on the phone: {answer.reason()}")
    return parse(f"{answer.text}\n{answer.stderr}")
