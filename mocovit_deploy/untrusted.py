"""The user's files, read where they can do no harm: what the commands run in a guarded child, and how."""

from __future__ import annotations

from pathlib import Path

from mocovit_deploy import guarded
from mocovit_deploy.artifact import golden_path
from mocovit_deploy.errors import ParityError, UsageError
from mocovit_deploy.hostcheck import report_from
from mocovit_deploy.parity.verdict import ParityReport
from mocovit_deploy.spec import ModelSpec


def check_here(path: Path, *, verbose: bool, deadline_s: float | None) -> tuple[ParityReport, bool]:
    """Check a file in the runtime installed here, in a child: a file that crashes it ends the child alone.

    Returns the report, and whether the file was changed after its export. `deadline_s` replaces the time that
    a file of its size may take. Raises what `hostcheck.check` raises, and `ParityError` for a crash, a hang
    or too much memory.
    """
    limits = guarded.limits_for(path, golden_path(path), deadline_s=deadline_s)
    found = guarded.call(
        "mocovit_deploy.hostcheck:check", {"path": str(path)}, limits,
        subject=path, failure=ParityError, verbose=verbose,
    )  # fmt: skip
    return report_from(found["report"]), found["changed"]


def probe_files(model: ModelSpec, verbose: bool) -> None:
    """Read a checkpoint and an exported program in a child first: only what ends well there is read here.

    Not with --unsafe-pickle: whoever gives it vouches for the file.
    """
    program = Path(model.name) if model.name.endswith(".pt2") else None
    files = [path for path in (program, model.checkpoint) if path is not None]
    if not files or model.unsafe_pickle:
        return
    arguments = {
        "model": model.name,
        "checkpoint": None if model.checkpoint is None else str(model.checkpoint),
        "prefer_ema": model.prefer_ema,
    }
    guarded.call(
        "mocovit_deploy.models.probe:probe", arguments, guarded.limits_for(*files),
        subject=" and ".join(map(str, files)), failure=UsageError, verbose=verbose,
    )  # fmt: skip
