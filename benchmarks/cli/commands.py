"""What each word of `mocovit-bench` does. Reports go to standard output, all else to standard error."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cli import phones
from benchmarks.reports import schema
from benchmarks.reports import text as prose
from benchmarks.reports.advice import advise
from benchmarks.reports.file import check_place, read, to_json, write
from benchmarks.reports.plan import Plan, counting_plan
from benchmarks.reports.report import LatencyReport, Report
from benchmarks.targets import subject
from benchmarks.targets.context import Context, Say, Verify, measuring_target, refuse_unsteady
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.errors import UsageError
from mocovit_deploy.targets import CPUS, runtime_for
from mocovit_deploy.terminal.printable import printable

_Prepared = tuple[Artifact, Plan, Context]


def run_command(arguments: argparse.Namespace) -> int:
    """Do what the words ask. Raises `DeployError` with the exit status of what went wrong."""
    commands = {
        "run": _run,
        "ab": _ab,
        "compare": _compare,
        "bundle": _bundle,
        "emulator": _emulator,
        "calibrate": _calibrate,
        "doctor": _doctor,
        "page": _page,
    }
    phones.check_words(arguments)
    commands[arguments.command](arguments)
    return 0


def _run(arguments: argparse.Namespace) -> None:
    if arguments.benchmark_binary is not None:
        _run_benchmark_model(arguments)
        return
    for place in (arguments.output, arguments.html):
        check_place(place)
    prepared = [_prepare(arguments, path) for path in arguments.files]
    target = measuring_target(arguments.target)

    def measure(session: object | None, say: Say) -> list[Report]:
        reports = []
        for artifact, plan, context in prepared:
            on_it = dataclasses.replace(context, session=session, say=say)
            reports.append(target.measure(artifact, plan, on_it))
            _explain(reports[-1], say)
        return reports

    reports, failed = phones.on_each(arguments, measure, _say)
    if arguments.output is not None and reports:
        write(arguments.output, reports)
    if arguments.html is not None and reports:
        _write_page(arguments.html, reports)
    if arguments.json:
        print(to_json(reports), end="")
    if failed is not None:
        raise failed
    refuse_unsteady(reports)


def _page(arguments: argparse.Namespace) -> None:
    check_place(arguments.output)
    _write_page(arguments.output, [report for path in arguments.reports for report in read(path)])


def _write_page(path: Path, reports: Sequence[Report]) -> None:
    from benchmarks.reports.html.document import write_page

    write_page(path, reports)
    _say(f"{path}: written; open it in a browser")


def _doctor(arguments: argparse.Namespace) -> None:
    from benchmarks.targets.adb import doctor

    steps = doctor.examine(
        phones.wanted(arguments),
        cores=arguments.cores,
        bundle=arguments.bundle,
        verify=_judge(),
        say=_say,
        deadline_s=arguments.deadline_s,
    )
    if arguments.json:
        print(schema.to_json({"schema_version": 1, "doctor": steps}), end="")
    doctor.judge(steps)


def _run_benchmark_model(arguments: argparse.Namespace) -> None:
    from benchmarks.targets import benchmark_model

    if arguments.target == "emulated":
        raise UsageError("--benchmark-binary is measured with on --target host or adb")
    if arguments.fp16 or arguments.per_op or arguments.output:
        raise UsageError(
            "--benchmark-binary gives averages alone: --fp16, --per-op and --output do not go with it"
        )
    results = []
    for path in arguments.files:
        artifact, _ = subject.load(path, checked=False)
        plan = _plan(arguments, runtime_for(artifact, None))
        if arguments.target == "adb":
            found = phones.run_benchmark_model(arguments, path, plan, _say)
        else:
            found = benchmark_model.measure(arguments.benchmark_binary, path, plan)
        _say(f"{path.name}: {found.describe()}")
        results.append({"file": path.name, "sha256": artifact.sha256, **schema.plain(found)})
    if arguments.json:
        print(schema.to_json({"schema_version": 1, "benchmark_model": results}), end="")


def _ab(arguments: argparse.Namespace) -> None:
    """Which of two files is faster."""
    from benchmarks.targets import ab

    sides = [_prepare(arguments, path) for path in (arguments.a, arguments.b)]
    target = measuring_target(arguments.target)
    with phones.held(arguments, _say, rounds=1) as session:
        sides = [
            (artifact, plan, dataclasses.replace(context, session=session))
            for artifact, plan, context in sides
        ]
        if arguments.target == "emulated":
            document = ab.count_both(target, sides, _say)
        else:
            document = ab.time_in_turn(target, sides, _say, rounds=arguments.rounds)
    if arguments.json:
        print(schema.to_json({"schema_version": 1, **document}), end="")


def _compare(arguments: argparse.Namespace) -> None:
    from benchmarks.reports.compare import amount, compare, describe, judge, parse_bar

    bar = None if arguments.fail_above is None else parse_bar(arguments.fail_above)
    comparisons = compare(read(arguments.old), read(arguments.new))
    for comparison in comparisons:
        _say(f"{comparison.new_file}: {describe(comparison)}")
        for moved in comparison.moved:
            share = "" if moved.percent is None else f" ({moved.percent:+.3g} %)"
            _say(f"  {moved.what} {amount(moved.old)} to {amount(moved.new)}{share}")
    if arguments.json:
        print(schema.to_json({"schema_version": 1, "comparisons": comparisons}), end="")
    if bar is not None:
        judge(comparisons, fail_above_percent=bar)


def _bundle(arguments: argparse.Namespace) -> None:
    from benchmarks.toolchain.bundle import find_or_build, place
    from benchmarks.toolchain.lock import read_lock

    lock = read_lock()
    found = []
    for runtime in [arguments.runtime] if arguments.runtime else list(lock.runtimes):
        _say(f"{runtime} {lock.runtime(runtime).version} for aarch64")
        begun, made = time.monotonic(), not place(runtime).is_dir()
        bundle = find_or_build(lock, runtime, deadline_s=arguments.deadline_s)
        how = f"made in {time.monotonic() - begun:.0f} s, verified" if made else "was there, verified"
        _say(f"  {bundle.path}  ({len(bundle.files)} files, {bundle.size_bytes / 1e6:.1f} MB, {how})")
        found.append(
            {"runtime": runtime, "version": bundle.version, "path": str(bundle.path), "build": bundle.build}
        )
    if arguments.json:
        print(schema.to_json({"schema_version": 1, "bundles": found}), end="")


def _emulator(arguments: argparse.Namespace) -> None:
    from benchmarks.toolchain.emulator import find_or_build

    found = find_or_build(say=_say, deadline_s=arguments.deadline_s)
    _say(f"{found.identity}: counts right ({found.qemu})")
    if arguments.json:
        described = {"qemu": str(found.qemu), "version": found.version, "plugin": str(found.plugin)}
        print(schema.to_json({"schema_version": 1, "emulator": described}), end="")


def _calibrate(arguments: argparse.Namespace) -> None:
    from benchmarks.devices import latency_fit

    data = latency_fit.read()
    if not arguments.json:
        print(latency_fit.summary(data))
        return
    predictions = latency_fit.leave_one_out(data.fit.pair, "bound_ms")
    document = {
        "schema_version": 1,
        "factor": latency_fit.factor(data.fit.pair, "bound_ms"),
        "errors_percent": latency_fit.errors(predictions),
        "error_band_percent": latency_fit.error_band_percent(data),
        "left_out": predictions,
    }
    print(schema.to_json(document), end="")


def _prepare(arguments: argparse.Namespace, path: Path) -> _Prepared:
    artifact, golden = subject.load(path, checked=not arguments.no_verify)
    plan = _plan(arguments, runtime_for(artifact, arguments.runtime))
    verify = None if arguments.no_verify else _judge()
    context = Context(
        golden=golden, verify=verify, say=_say, bundle=arguments.bundle, device=arguments.device
    )
    return artifact, plan, context


def _judge() -> Verify:
    from mocovit_deploy.parity.verdict import judge

    return judge


def _plan(arguments: argparse.Namespace, runtime: str) -> Plan:
    given = {
        name: value
        for name in ("runs", "min_s", "warmup_runs", "warmup_min_s", "cpu")
        if (value := getattr(arguments, name)) is not None
    }
    common = {
        "runtime": runtime,
        "threads": arguments.threads,
        "fp16_arithmetic": arguments.fp16,
        "per_op": arguments.per_op,
        "deadline_s": arguments.deadline_s,
    }
    if arguments.target != "emulated":
        for word in ("cpu", "device"):
            if getattr(arguments, word) is not None:
                raise UsageError(f"--{word} goes with --target emulated; real hardware is what it is")
        if arguments.target == "host" and arguments.bundle is not None:
            raise UsageError("--bundle goes with --target emulated or adb; the host runs what is installed")
        return Plan(**{**phones.plan_defaults(arguments), **common, **given})
    for word in ("min_s", "warmup_runs", "warmup_min_s"):
        if word in given:
            raise UsageError(
                f"--{word.replace('_', '-')} goes with --target host or adb; counts take no time"
            )
    return counting_plan(**{"cpu": CPUS[0], **common, **given})


def _explain(report: Report, say: Say) -> None:
    for line in prose.describe(report):
        say(line)
    if isinstance(report, LatencyReport):
        for advice in advise(report):
            say(f"  advice        {advice}")


def _say(line: str) -> None:
    print(printable(line, keep="\n"), file=sys.stderr, flush=True)
