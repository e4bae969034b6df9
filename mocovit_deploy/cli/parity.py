"""mocovit-parity FILE...: check exported files again, from the files alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden, read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.choices import HOST, TARGETS
from mocovit_deploy.cli.accuracy import Comparing, accuracy_text
from mocovit_deploy.cli.output import (
    HEADER,
    REPORT_SCHEMA_VERSION,
    branches,
    note,
    print_json,
    print_notes,
    say,
    task_lines,
    verdict_row,
)
from mocovit_deploy.errors import DeployError, ParityError, unknown_choice
from mocovit_deploy.files import digest
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.parity.sandboxed import CheckedHere, check_here
from mocovit_deploy.parity.verdict import ParityReport, judge_outputs, not_run
from mocovit_deploy.spec import AccuracyRequest
from mocovit_deploy.targets import RunConditions, load_target
from mocovit_deploy.terminal.colour import painted
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.terminal.quiet import quiet
from mocovit_deploy.terminal.table import table

if TYPE_CHECKING:
    from mocovit_deploy.accuracy.breakdown import Breakdown


def run_parity(
    files: Sequence[Path],
    target: str,
    *,
    as_json: bool,
    verbose: bool,
    deadline_s: float | None = None,
    accuracy: AccuracyRequest | None = None,
) -> int:
    """Check files against the golden files beside them. All are checked before a failure ends the command.

    `target` is where they are executed: "host" in the runtime installed here, the others as in
    `mocovit-bench --target`. `deadline_s` replaces the time limit that depends on a file's size. Files that
    pass are then compared with their networks on the images of `accuracy`, which needs torch. Returns 0, or
    raises the first file's error.
    """
    if target not in TARGETS:
        raise unknown_choice("target", target, TARGETS)
    results: list[tuple[Path, ParityReport, DeployError | None]] = []
    for path in files:
        results.append((path, *_check_file(path, target, verbose, deadline_s)))  # noqa: PERF401 - it may print a note
    for path, report, _ in results:
        print_notes(path.name, report)
    errors = [error for _, _, error in results if error is not None]
    passed = [path for path, _, error in results if error is None]
    compared, lost = ([], []) if accuracy is None else _compare(passed, accuracy, verbose)
    if as_json:
        measured = {one.path: {"accuracy": found.as_json()} for one, found in compared}
        reports = [
            {"file": str(path), **report.as_json(), **measured.get(path, {})} for path, report, _ in results
        ]
        print_json({"schema_version": REPORT_SCHEMA_VERSION, "files": reports})
    else:
        rows = [verdict_row(path, report) for path, report, _ in results]
        lines = [table(HEADER, rows), *task_lines([(path.name, report) for path, report, _ in results])]
        sys.stdout.write(painted(printable("\n".join(lines) + "\n", keep="\n"), sys.stdout))
        if compared:
            sys.stdout.write(printable(f"\n{accuracy_text(compared)}\n", keep="\n"))
    errors += lost
    for text in dict.fromkeys(map(str, errors)):  # an error that several files share is printed once
        if text != str(errors[0]):
            say(text)
    if errors:
        raise errors[0]
    return 0


def _compare(
    paths: Sequence[Path], asked: AccuracyRequest, verbose: bool
) -> tuple[list[tuple[Artifact, Breakdown]], list[DeployError]]:
    """Accuracy of each file, and the errors of files that could not be compared or lose too much."""
    from mocovit_deploy.accuracy.judge import drop_error

    comparing = Comparing(asked)
    found: list[tuple[Artifact, Breakdown]] = []
    errors: list[DeployError] = []
    for path in paths:
        try:
            with quiet(not verbose):
                artifact = read_manifest(path)
                found.append((artifact, comparing.compare(artifact)))
        except DeployError as error:
            errors.append(error)
            continue
        if (lost := drop_error(path, found[-1][1], asked.max_drop)) is not None:
            errors.append(lost)
    for text in comparing.notes:
        note(text)
    return found, errors


def _check_file(
    path: Path, target: str, verbose: bool, deadline_s: float | None
) -> tuple[ParityReport, DeployError | None]:
    check = check_here if target == HOST else partial(_check_on, target=target)
    try:
        report, changed = check(path, verbose=verbose, deadline_s=deadline_s)
    except DeployError as error:
        return not_run(str(error)), error
    if report.verdict != PASS:
        return report, ParityError(f"{path}: parity {report.verdict}: {report.reason}")
    if hidden := (read_manifest(path).parity or {}).get("hidden"):
        note(
            f"{path}: its outputs hardly depend on {branches(len(hidden))} of the network; the export judged "
            "them by their layers, and --bisect checks the layers again"
        )
    if changed:
        note(f"{path} was changed after its export; this verdict is about the changed file")
    return report, None


def _check_on(path: Path, *, target: str, verbose: bool, deadline_s: float | None) -> CheckedHere:
    """Run the golden inputs on a target of `mocovit-bench`, and judge the outputs."""
    artifact = read_manifest(path)
    golden = read_golden(artifact)
    with quiet(not verbose):
        report = _run_on(target, artifact, golden, deadline_s)
    return CheckedHere(report, changed=digest(path) != artifact.sha256)


def _run_on(target: str, artifact: Artifact, golden: Golden, deadline_s: float | None) -> ParityReport:
    conditions = RunConditions() if deadline_s is None else RunConditions(deadline_s=deadline_s)
    run = load_target(target).run_golden(artifact, golden, conditions)
    return judge_outputs(artifact, golden, run.outputs, run.runtime, run.arithmetic)
