"""Check one file in the runtime installed here, in a child, so that a crash of the runtime ends only the
child.

Plain data goes to the child and comes back, with NaN and infinity, which Python's json can write.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mocovit_deploy.artifacts.golden import golden_path, read_golden
from mocovit_deploy.artifacts.install import finish
from mocovit_deploy.artifacts.manifest import manifest_path, read_manifest
from mocovit_deploy.errors import MissingToolError, ParityError, UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.compare import Difference
from mocovit_deploy.parity.decide import Verdict
from mocovit_deploy.parity.half import check_in_reference, check_on_the_core, needs_half, with_half
from mocovit_deploy.parity.task import task_difference_from
from mocovit_deploy.parity.tolerance import Tolerance
from mocovit_deploy.parity.verdict import HiddenBranch, ParityReport, check_file
from mocovit_deploy.terminal.quiet import quiet
from mocovit_deploy.untrusted import sandbox


class CheckedHere(NamedTuple):
    """The result of `check_here`."""

    report: ParityReport
    changed: bool
    """Whether the file was changed after its export."""


def check_here(path: Path, *, verbose: bool, deadline_s: float | None) -> CheckedHere:
    """Check a file in a child.

    A file that passes in fp32 and is made for fp16 is then checked in half precision: on the emulated core if
    that is installed, else in the numpy reference, in another child.

    `deadline_s` replaces the time limit that depends on the file's size. Raises the errors of `check_file`,
    and `ParityError` for a crash, a hang or too much memory. A folder without a manifest is not read.
    """
    finish(path)
    if path.is_dir() and not manifest_path(path).exists():
        raise UsageError(
            f"{path}: is a folder with no manifest beside it; name a file that mocovit-export wrote"
        )
    limits = sandbox.limits_for(path, golden_path(path), deadline_s=deadline_s)

    def call(check: str) -> dict[str, Any]:
        return sandbox.call_in_child(  # type: ignore[no-any-return]
            f"{__name__}:{check}",
            {"path": str(path)},
            limits,
            subject=path,
            failure=ParityError,
            verbose=verbose,
        )

    found = call("child_check")
    report = report_from(found["report"])
    if found["half_macs"] is not None:
        artifact = read_manifest(path)
        with quiet(not verbose):
            half = check_on_the_core(artifact, read_golden(artifact), found["half_macs"])
        if half is None and artifact.quantization is None:  # the reference has no int8
            half = report_from(call("child_check_half")["report"])
        report = report if half is None else with_half(report, half)
    return CheckedHere(report, found["changed"])


def child_check(path: str) -> dict[str, Any]:
    """In the child: read, run and judge the file at `path`.

    Returns {"report": the `ParityReport`, "changed": whether the file was changed after its export,
    "half_macs": multiply-accumulates of one inference if the file must and can be run in half precision, else
    None}. Raises the errors of its manifest, golden file and runtime.
    """
    artifact = read_manifest(Path(path))
    golden = read_golden(artifact)
    exporter = format_named(artifact.format)
    report = check_file(exporter, artifact, golden)
    half_macs = None
    if needs_half(report):
        with contextlib.suppress(MissingToolError):  # the report then still says that fp16 was not run
            half = exporter.load_half(artifact)
            half_macs = None if half is None else half.macs
    return {
        "report": dataclasses.asdict(report),
        "changed": digest(artifact.path) != artifact.sha256,
        "half_macs": half_macs,
    }


def child_check_half(path: str) -> dict[str, Any]:
    """In the child: run the file at `path` in the half-precision reference and judge it. {"report": ...}."""
    artifact = read_manifest(Path(path))
    predictor = format_named(artifact.format).load_half(artifact)
    assert predictor is not None, "`child_check` found one"
    report = check_in_reference(artifact, read_golden(artifact), predictor)
    return {"report": dataclasses.asdict(report)}


def report_from(document: Mapping[str, Any]) -> ParityReport:
    """The `ParityReport` that `child_check` returned as plain data."""
    tolerance = document["tolerance"]
    return ParityReport(
        **{
            **document,
            "samples": tuple(document["samples"]),
            "tolerance": None if tolerance is None else Tolerance(**tolerance),
            "outputs": tuple(Difference(**one) for one in document["outputs"]),
            "flips": tuple(document["flips"]),
            "hidden": tuple(
                HiddenBranch(**{**one, "modules": tuple(one["modules"]), "verdict": Verdict(one["verdict"])})
                for one in document["hidden"]
            ),
            "task": task_difference_from(document["task"]),
            "half": None if document["half"] is None else report_from(document["half"]),
        }
    )
