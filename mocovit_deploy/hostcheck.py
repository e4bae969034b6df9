"""Check one file in the runtime installed here: what `mocovit-parity` runs in a guarded child.

Plain data in, plain data out (NaN and infinity included, which Python's json can say).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporters import format_named
from mocovit_deploy.artifact import digest, read_golden, read_manifest
from mocovit_deploy.parity.compare import Difference
from mocovit_deploy.parity.tolerance import Tolerance
from mocovit_deploy.parity.verdict import ParityReport, check_file


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
