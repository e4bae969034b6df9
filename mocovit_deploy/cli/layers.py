"""mocovit-parity FILE --layers: the command around `check_layers`, and what it prints."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden, read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.operator import ROOT_MODULE
from mocovit_deploy.cli.output import REPORT_SCHEMA_VERSION, print_json
from mocovit_deploy.errors import DeployError, ParityError
from mocovit_deploy.layers.check import LayerReference, check_against, lowered_by, original
from mocovit_deploy.layers.report import LayerReport
from mocovit_deploy.layers.taps import LayerReading
from mocovit_deploy.parity.compare import Difference
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.terminal.quiet import quiet
from mocovit_deploy.terminal.table import table


def run_layers(files: Sequence[Path], *, bisect: bool, as_json: bool, verbose: bool) -> int:
    """Check the layers of files; all are checked before any failure ends the command."""
    reports: list[tuple[Path, LayerReport]] = []
    errors: list[DeployError] = []
    layers = LayersOfFiles()
    for path in files:
        try:
            with quiet(not verbose):
                artifact = read_manifest(path)
                golden = read_golden(artifact)
                reports.append((path, layers.check(artifact, golden, bisect=bisect)))
        except DeployError as error:
            errors.append(error)
            continue
        if reports[-1][1].verdict != PASS:
            errors.append(ParityError(f"{path}: {reports[-1][1].reason}"))
    if as_json:
        documents = [{"file": str(path), **report.as_json()} for path, report in reports]
        print_json({"schema_version": REPORT_SCHEMA_VERSION, "files": documents})
    else:
        for path, report in reports:
            sys.stdout.write(f"{path}: {report.runtime}, {report.arithmetic}\n\n{layers_text(report)}\n")
    for later in errors[1:]:
        sys.stderr.write(f"{later}\n")
    if errors:
        raise errors[0]
    return 0


class LayersOfFiles:
    """Checks the layers of several files. Files of one export with the same rewrites share one network."""

    def __init__(self) -> None:
        self._references: dict[str, LayerReference] = {}

    def check(self, artifact: Artifact, golden: Golden, *, bisect: bool) -> LayerReport:
        """As `check_layers`."""
        source = json.dumps([artifact.source, golden.names, lowered_by(artifact)], sort_keys=True)
        if source not in self._references:
            self._references[source] = original(artifact, golden)
        return check_against(artifact, golden, self._references[source], bisect=bisect)


def layers_text(report: LayerReport) -> str:
    """A table of the layers, the layers without a value in the file with the reason, and the verdict last."""
    bisected = any(reading.alone for reading in report.readings)
    header = ["layer", "operation", "in the file", "max error", "SQNR", "cosine"]
    header += ["alone"] if bisected else []
    rows = [_row(reading, bisected=bisected) for reading in report.readings]
    lines = [table((*header, ""), rows), ""]
    if report.missing:
        lines += [f"{len(report.missing)} layers without a value of their own in the file:"]
        lines += [f"  {one.module or ROOT_MODULE} ({one.kind}): {one.why}" for one in report.missing]
        lines += [""]
    how = "alone, from the original's values before it" if bisected else "with the errors before it"
    samples = " and ".join(report.samples)
    lines.append(
        f"{len(report.readings)} layers, on {samples}; a layer that is off by more than {report.limit}, "
        f"{how}, diverges"
    )
    unproven = f"; {report.not_run} not run" if report.not_run else ""
    lines.append(f"{report.verdict}: {report.reason}{unproven}")
    return "\n".join(lines)


def _row(reading: LayerReading, *, bisected: bool) -> tuple[str, ...]:
    carried = reading.carried
    cells = [
        reading.tap.layer.module or ROOT_MODULE,
        reading.tap.layer.kind,
        reading.tap.form or "as it is",
        _error(carried),
        f"{carried.sqnr_db:.0f} dB" if carried.finite else "-",
        f"{carried.cosine:.6f}" if carried.finite else "-",
    ]
    if bisected:
        cells.append(_error(reading.alone) if reading.alone else "-")
    mark = f"<- {reading.kind or 'diverges'}" if reading.diverges else ""
    return (*cells, mark)


def _error(difference: Difference) -> str:
    return f"{difference.max_error:.1e}" if difference.finite else "not finite"
