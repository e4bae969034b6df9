"""Check one file in the runtime installed here, in a child: a crash of the runtime ends the child alone.

Plain data goes to the child and comes back (NaN and infinity included, which Python's json can say).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mocovit_deploy.artifacts.golden import golden_path, read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.errors import ParityError
from mocovit_deploy.files import digest
from mocovit_deploy.formats import format_named
from mocovit_deploy.parity.compare import Difference
from mocovit_deploy.parity.tolerance import Tolerance
from mocovit_deploy.parity.verdict import ParityReport, check_file
from mocovit_deploy.untrusted import sandbox


def check_here(path: Path, *, verbose: bool, deadline_s: float | None) -> tuple[ParityReport, bool]:
    """Check a file in a child. Returns the report, and whether the file was changed after its export.

    `deadline_s` replaces the time that a file of its size may take. Raises what `check` raises, and
    `ParityError` for a crash, a hang or too much memory.
    """
    limits = sandbox.limits_for(path, golden_path(path), deadline_s=deadline_s)
    found = sandbox.call(
        f"{__name__}:check", {"path": str(path)}, limits, subject=path, failure=ParityError, verbose=verbose
    )
    return report_from(found["report"]), found["changed"]


def check(path: str) -> dict[str, Any]:
    """Read, run and judge the file at `path`; raises the errors of its manifest, golden file and runtime.

    The result is {"report": the `ParityReport`, "changed": whether the file is not the one exported}.
    """
    artifact = read_manifest(Path(path))
    golden = read_golden(artifact)
    report = check_file(format_named(artifact.format), artifact, golden)
    return {
        "report": dataclasses.asdict(report),
        "changed": digest(artifact.path) != artifact.sha256,
    }


def report_from(document: Mapping[str, Any]) -> ParityReport:
    """The report that `check` made plain data of."""
    tolerance = document["tolerance"]
    return ParityReport(
        **{
            **document,
            "samples": tuple(document["samples"]),
            "tolerance": None if tolerance is None else Tolerance(**tolerance),
            "outputs": tuple(Difference(**one) for one in document["outputs"]),
        }
    )
