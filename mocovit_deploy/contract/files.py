"""The files that a contract names: found from an earlier export, else exported.

A file is found if its manifest says that it was made with the same options, from the same checkpoint and the
same code, by the same versions of the same tools. It is then judged as it lies there, even if it was changed
after its export, because this file is the one that ships.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import golden_path
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.provenance import provenance_of
from mocovit_deploy.contract.read import ModelEntry
from mocovit_deploy.errors import DeployError, ParityError, UsageError, internal
from mocovit_deploy.extras import import_torch
from mocovit_deploy.files import digest
from mocovit_deploy.parity.decide import PASS
from mocovit_deploy.parity.verdict import ParityReport
from mocovit_deploy.terminal.progress import Stages

Pair = tuple[str, str]
"""(format, precision)."""

FOUND, EXPORTED, REJECTED, MISSING = "found", "exported", "exported and rejected", "not exported"


@dataclass(frozen=True)
class Made:
    """One file and how it came about, or the error that prevented it."""

    how: str
    """`FOUND`, `EXPORTED`, `REJECTED` or `MISSING`."""
    artifact: Artifact | None
    exported: ParityReport | None = None
    """The export's own report, if this command exported the file."""
    error: DeployError | None = None
    notes: tuple[str, ...] = ()


def make(model: ModelEntry, output_dir: Path, *, fresh: bool, stages: Stages) -> dict[Pair, Made]:
    """Every file of a model, by (format, precision).

    Files that are found neither in `output_dir/NAME` nor in `output_dir` are exported into `output_dir/NAME`
    by one call. `fresh` exports all files.
    """
    pairs = model.request.files
    folder = output_dir / model.name
    found = {} if fresh else find_made(model, (folder, output_dir))
    missing = tuple(pair for pair in pairs if pair not in found)
    made = _export(model, missing, folder, stages) if missing else {}
    return {pair: found.get(pair) or made[pair] for pair in pairs}


def find_made(model: ModelEntry, folders: Iterable[Path]) -> dict[Pair, Made]:
    """The files of a model from earlier exports in `folders`; the first folder that has one wins."""
    source = provenance_of(model.request)
    found: dict[Pair, Made] = {}
    for folder in folders:
        for artifact in _artifacts(folder):
            pair = (artifact.format, artifact.recipe)
            if pair in model.request.files and pair not in found and _is_current(artifact, source):
                found[pair] = Made(FOUND, artifact, notes=_changed(artifact))
    return found


def _artifacts(folder: Path) -> Iterator[Artifact]:
    for manifest in sorted(folder.glob("*.json")):
        path = manifest.with_suffix("")
        if path.exists():
            with contextlib.suppress(UsageError):  # the .json is a report or another program's file
                yield read_manifest(path)


def _is_current(artifact: Artifact, source: dict[str, Any]) -> bool:
    golden = golden_path(artifact.path)
    return (
        artifact.source == source
        and all(_is_installed(name, given) for name, given in artifact.tools.items())
        and golden.is_file()
        and digest(golden) == artifact.golden_sha256
    )


def _is_installed(tool: str, given: str) -> bool:
    """Whether version `given` of `tool` is installed; true also if none is, as it cannot export again."""
    try:
        return version(tool) == given
    except PackageNotFoundError:
        return True


def _changed(artifact: Artifact) -> tuple[str, ...]:
    if digest(artifact.path) == artifact.sha256:
        return ()
    return ("changed after its export; the verdict is about the changed file",)


def _export(model: ModelEntry, pairs: tuple[Pair, ...], folder: Path, stages: Stages) -> dict[Pair, Made]:
    request = replace(model.request, output_dir=folder, only=pairs)
    try:
        import_torch()
        from mocovit_deploy.exporting.pipeline import export_model

        done = export_model(request, stages)
    except DeployError as error:
        return {pair: Made(MISSING, None, error=error) for pair in pairs}
    except Exception as error:  # noqa: BLE001 - a defect: recorded for these files, and the others are checked
        return {pair: Made(MISSING, None, error=internal(error)) for pair in pairs}
    made = {}
    for outcome in done.outcomes:
        if outcome.artifact is None:
            how = MISSING
        else:
            how = EXPORTED if outcome.report.verdict == PASS else REJECTED
        made[outcome.format, outcome.recipe] = Made(
            how, outcome.artifact, outcome.report, outcome.error, outcome.notes
        )
    return made


def refusal(made: Made) -> DeployError | None:
    """The `ParityError` of an export that wrote a file and rejected it; None for any other file."""
    return made.error if made.artifact is not None and isinstance(made.error, ParityError) else None
