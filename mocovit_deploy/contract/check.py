"""Compare measurements with bounds, for every bound of every file. All are checked before anything fails."""

from __future__ import annotations

import dataclasses
import platform
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from mocovit_deploy.contract.accuracy_data import AccuracyData
from mocovit_deploy.contract.bounds import metric_named
from mocovit_deploy.contract.evidence import Evidence
from mocovit_deploy.contract.files import MISSING, Made, Pair, make, refusal
from mocovit_deploy.contract.metric import Measured, Metric
from mocovit_deploy.contract.read import Contract, FileEntry, ModelEntry
from mocovit_deploy.contract.result import Check, ContractResult, FileResult, finite
from mocovit_deploy.errors import DeployError, ParityError, internal
from mocovit_deploy.parity.decide import FAIL, NOT_RUN, PASS
from mocovit_deploy.parity.tolerance import MEANT_ARITHMETIC
from mocovit_deploy.terminal.progress import Stages

LONGEST_REASON = 400
"""Characters. The error of a checkpoint that does not fit lists every key; mocovit-export prints them all."""
Say = Callable[[str], None]
Bounds = Iterable[tuple[str, float]]


def check_contract(contract: Contract, output_dir: Path, *, fresh: bool, say: Say) -> ContractResult:
    """Find or export every file and check its bounds. `say` gets a line of progress for each step.

    An error with one file is in the result; the other files are checked all the same.
    """
    start, started = time.perf_counter(), time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    files: list[FileResult] = []
    for model in contract.models:
        say(f"{model.name}: {', '.join(' '.join(pair) for pair in model.request.files)}")
        begun = time.perf_counter()
        made = make(model, output_dir, fresh=fresh, stages=Stages())
        say(f"  {_counted(made)} in {time.perf_counter() - begun:.0f} s")
        data = AccuracyData(model.data, model.request.model) if model.data else None
        for entry in model.files:
            files.append(_file(model, entry, made[entry.format, entry.precision], data))
            say(f"  {_told(files[-1])}")
    tools = (("mocovit-deploy", version("mocovit-deploy")), ("python", platform.python_version()))
    return ContractResult(contract.path, tuple(files), started, time.perf_counter() - start, tools)


def _counted(made: Mapping[Pair, Made]) -> str:
    """ "2 found, 1 exported"."""
    ways = [one.how for one in made.values()]
    return ", ".join(f"{ways.count(how)} {how}" for how in dict.fromkeys(ways))


def _told(file: FileResult) -> str:
    verdicts = [check.verdict for check in file.checks]
    said = ", ".join(f"{verdicts.count(one)} {one}" for one in (PASS, FAIL, NOT_RUN) if one in verdicts)
    seconds = sum(check.seconds for check in file.checks)
    return f"{file.title} {file.how}{f' ({file.path})' if file.path else ''}: {said}, {seconds:.0f} s"


def _file(model: ModelEntry, entry: FileEntry, made: Made, data: AccuracyData | None) -> FileResult:
    artifact, notes = made.artifact, made.notes
    if artifact is None:
        error = made.error or ParityError(MISSING)
        missing = tuple(_not_run(metric_named(word), limit, error) for word, limit in entry.bounds)
        return FileResult(model.name, entry.title, None, made.how, missing)
    evidence = Evidence(artifact, entry.conditions, data, made.exported)
    checks = check_bounds(evidence, entry.bounds)
    refused = refusal(made)
    if refused is not None:
        said = Check("export", "", None, FAIL, str(refused), measured=made.how, error=refused)
        checks = (said, *checks)
    if any(c.verdict != NOT_RUN and c.limit is not None and metric_named(c.word).of_outputs for c in checks):
        notes += (*_arithmetic_note(evidence), *evidence.flips)
    return FileResult(model.name, entry.title, artifact.path, made.how, checks, notes)


def _arithmetic_note(evidence: Evidence) -> tuple[str, ...]:
    """A note if outputs were computed in another arithmetic than the file is made for; else empty."""
    meant = MEANT_ARITHMETIC.get(evidence.artifact.recipe)
    if meant in (None, evidence.arithmetic):
        return ()
    return (f"made for {meant} arithmetic, which was not run; computed in {evidence.arithmetic} here",)


def check_bounds(evidence: Evidence, bounds: Bounds) -> tuple[Check, ...]:
    """Check every bound on one file. A bound that cannot be measured is "not run", with the error."""
    return tuple(_timed(metric_named(word), limit, evidence) for word, limit in bounds)


def _timed(metric: Metric, limit: float, evidence: Evidence) -> Check:
    start = time.perf_counter()
    try:
        check = judge_metric(metric, limit, metric.measure(evidence))
    except DeployError as error:
        check = _not_run(metric, limit, error)
    except Exception as error:  # noqa: BLE001 - a defect here or in a runtime: recorded, and the rest goes on
        check = _not_run(metric, limit, internal(error))
    return dataclasses.replace(check, seconds=time.perf_counter() - start)


def judge_metric(metric: Metric, limit: float, found: Measured) -> Check:
    """Judge one measurement: pass or fail; not run if an output that never changes would pass as well."""
    shown, bound = metric.unit.show(found.value), metric.shown_bound(limit)
    margin = metric.margin(found.value, limit)
    verdict, reason = PASS, ""
    if not metric.holds(found.value, limit):
        where = f" ({found.detail})" if found.detail else ""
        verdict, reason = FAIL, f"{metric.word} is {shown}, the bound is {bound}{where}"
    elif found.constant is not None and metric.holds(found.constant, limit):
        verdict = NOT_RUN
        reason = (
            f"{metric.word} {bound} would be met by outputs that never change, so it proves nothing; "
            "check the weights, or set a tighter bound"
        )
    error = metric.fails(reason) if verdict == FAIL else ParityError(reason) if verdict == NOT_RUN else None
    return Check(
        word=metric.word,
        bound=bound,
        limit=limit,
        verdict=verdict,
        reason=reason,
        measured=shown,
        value=finite(found.value),
        margin=metric.unit.show(margin),
        by=found.by,
        detail=found.detail,
        error=error,
    )


def _not_run(metric: Metric, limit: float, error: DeployError) -> Check:
    reason = textwrap.shorten(str(error), LONGEST_REASON, placeholder=" ...")
    return Check(metric.word, metric.shown_bound(limit), limit, NOT_RUN, reason, error=error)
