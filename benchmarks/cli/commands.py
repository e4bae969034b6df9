"""The commands of `mocovit-bench`. JSON goes to standard output, all other text to standard error."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cli import phones
from benchmarks.cli.request import BenchRequest, DoctorRequest
from benchmarks.reports import schema
from benchmarks.reports import text as prose
from benchmarks.reports.advice import advise
from benchmarks.reports.file import check_place, read_reports, reports_json, write_reports
from benchmarks.reports.report import LatencyReport, Report
from benchmarks.targets import subject
from benchmarks.targets.context import Context, Prepared, Say, Verify, measuring_target, refuse_unsteady
from mocovit_deploy.targets import runtime_for
from mocovit_deploy.terminal.printable import printable

if TYPE_CHECKING:
    from benchmarks.targets.adb.session import Session


def measure_files(request: BenchRequest) -> None:
    """Check and measure every file, then write and print the reports.

    Raises the error of the first phone that failed, after the reports of the others are written, and
    `StableDeviceError` if a device was too unsteady to measure.
    """
    if request.benchmark_binary is not None:
        _run_benchmark_model(request, request.benchmark_binary)
        return
    for place in (request.output, request.html):
        check_place(place)
    prepared = [_prepare(request, path) for path in request.files]
    target = measuring_target(request.target)

    def measure(session: Session | None, say: Say) -> list[Report]:
        reports = []
        for one in prepared:
            context = dataclasses.replace(one.context, session=session, say=say)
            reports.append(target.measure(one.artifact, one.plan, context))
            _explain(reports[-1], say)
        return reports

    measured = phones.on_each(request.wanted, measure, _say)
    reports = measured.reports
    if request.output is not None and reports:
        write_reports(request.output, reports)
    if request.html is not None and reports:
        _write_page(request.html, reports)
    if request.as_json:
        print(reports_json(reports), end="")
    if measured.failed is not None:
        raise measured.failed
    refuse_unsteady(reports)


def write_page(reports: Sequence[Path], output: Path) -> None:
    """Turn report files into one page with plots."""
    check_place(output)
    _write_page(output, [report for path in reports for report in read_reports(path)])


def _write_page(path: Path, reports: Sequence[Report]) -> None:
    from benchmarks.reports.html.document import write_page

    write_page(path, reports)
    _say(f"{path}: written; open it in a browser")


def doctor(request: DoctorRequest) -> None:
    """Check, step by step, that a phone can be measured on. Raises the error of the first failed step."""
    from benchmarks.targets.adb.doctor import examine, raise_first_failure

    steps = examine(
        request.wanted,
        cores=request.cores,
        bundle=request.bundle,
        verify=_judge(),
        say=_say,
        deadline_s=request.deadline_s,
    )
    if request.as_json:
        print(schema.to_json({"schema_version": 1, "doctor": steps}), end="")
    raise_first_failure(steps)


def _run_benchmark_model(request: BenchRequest, binary: Path) -> None:
    from benchmarks.targets import benchmark_model

    results = []
    for path in request.files:
        artifact, _ = subject.load_subject(path, checked=False)
        plan = request.plan_for(runtime_for(artifact, None))
        if request.wanted is not None:
            found = phones.run_benchmark_model(request.wanted, binary, path, plan, _say)
        else:
            found = benchmark_model.measure_averages(binary, path, plan)
        _say(f"{path.name}: {found.describe()}")
        results.append({"file": path.name, "sha256": artifact.sha256, **schema.plain(found)})
    if request.as_json:
        print(schema.to_json({"schema_version": 1, "benchmark_model": results}), end="")


def ab(request: BenchRequest) -> None:
    """Measure two files in turn, or count both, and say which is faster."""
    from benchmarks.targets.ab import count_both, time_in_turn

    sides = [_prepare(request, path) for path in request.files]
    target = measuring_target(request.target)
    with phones.held(request.wanted, _say) as session:
        sides = [
            dataclasses.replace(side, context=dataclasses.replace(side.context, session=session))
            for side in sides
        ]
        if target.COUNTS:
            document = count_both(target, sides, _say)
        else:
            document = time_in_turn(target, sides, _say, rounds=request.pairs)
    if request.as_json:
        print(schema.to_json({"schema_version": 1, **document}), end="")


def compare_files(old: Path, new: Path, *, fail_above: str | None, as_json: bool) -> None:
    """Print what changed between two reports.

    Raises `SlowerError` if a file is slower by more than `fail_above`, a percentage such as "3%".
    """
    from benchmarks.reports import compare as moved_between

    bar = None if fail_above is None else moved_between.parse_bar(fail_above)
    comparisons = moved_between.compare_reports(read_reports(old), read_reports(new))
    for comparison in comparisons:
        _say(f"{comparison.new_file}: {moved_between.describe_comparison(comparison)}")
        for moved in comparison.moved:
            share = "" if moved.percent is None else f" ({moved.percent:+.3g} %)"
            amounts = f"{moved_between.amount(moved.old)} to {moved_between.amount(moved.new)}"
            _say(f"  {moved.what} {amounts}{share}")
    if as_json:
        print(schema.to_json({"schema_version": 1, "comparisons": comparisons}), end="")
    if bar is not None:
        moved_between.refuse_slower(comparisons, fail_above_percent=bar)


def bundle(*, runtime: str | None, deadline_s: float, as_json: bool) -> None:
    """Make the bundle of one runtime, or of all."""
    from benchmarks.toolchain.bundle import bundle_folder, find_or_build_bundle
    from benchmarks.toolchain.lock import read_lock

    lock = read_lock()
    found = []
    for name in [runtime] if runtime else list(lock.runtimes):
        _say(f"{name} {lock.runtime(name).version} for aarch64")
        begun, made = time.monotonic(), not bundle_folder(name).is_dir()
        one = find_or_build_bundle(lock, name, deadline_s=deadline_s)
        how = f"made in {time.monotonic() - begun:.0f} s, verified" if made else "found, verified"
        _say(f"  {one.path}  ({len(one.files)} files, {one.size_bytes / 1e6:.1f} MB, {how})")
        found.append({"runtime": name, "version": one.version, "path": str(one.path), "build": one.build})
    if as_json:
        print(schema.to_json({"schema_version": 1, "bundles": found}), end="")


def emulator(*, deadline_s: float, as_json: bool) -> None:
    """Find the emulator that counts, or build it."""
    from benchmarks.toolchain.emulator import find_or_build_emulator

    found = find_or_build_emulator(say=_say, deadline_s=deadline_s)
    _say(f"{found.identity}: its counts are right ({found.qemu})")
    if as_json:
        described = {"qemu": str(found.qemu), "version": found.version, "plugin": str(found.plugin)}
        print(schema.to_json({"schema_version": 1, "emulator": described}), end="")


def calibrate(*, as_json: bool) -> None:
    """Fit the factor of modelled milliseconds to published measurements, and print it with its errors."""
    from benchmarks.devices import latency_fit

    data = latency_fit.read_published()
    if not as_json:
        print(latency_fit.fit_text(data))
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


def _prepare(request: BenchRequest, path: Path) -> Prepared:
    artifact, golden = subject.load_subject(path, checked=request.verify)
    plan = request.plan_for(runtime_for(artifact, request.runtime))
    verify = _judge() if request.verify else None
    context = Context(golden=golden, verify=verify, say=_say, bundle=request.bundle, device=request.device)
    return Prepared(artifact, plan, context)


def _judge() -> Verify:
    from mocovit_deploy.parity.verdict import judge_outputs

    return judge_outputs


def _explain(report: Report, say: Say) -> None:
    for line in prose.describe_report(report):
        say(line)
    if isinstance(report, LatencyReport):
        for advice in advise(report):
            say(f"  advice        {advice}")


def _say(line: str) -> None:
    print(printable(line, keep="\n"), file=sys.stderr, flush=True)
