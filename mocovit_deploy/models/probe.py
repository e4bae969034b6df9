"""Read the user's files in a child that may crash or be stopped, before the command reads them itself.

Unpickling only tensors runs no code. But a malicious file can still take for ever (a dictionary whose key is
a tuple nested forty times within itself is hashed in 2^40 steps) or all memory, and torch's readers are C++.
A file that the child has read within its limits is read again by the command.
"""

from __future__ import annotations

from pathlib import Path

from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import ModelSpec
from mocovit_deploy.untrusted import sandbox


def require_files(model: ModelSpec) -> None:
    """Raise `UsageError` if a program, a checkpoint or the file of a function does not exist."""
    place = model.name.rpartition(":")[0]
    named = [Path(text) for text in (model.name, place) if text.endswith((".pt2", ".py"))]
    for path in (*named, model.checkpoint):
        if path is not None and not path.exists():
            raise UsageError(f"{path}: no such file")


def probe_files(model: ModelSpec, verbose: bool) -> None:
    """Read a checkpoint and an exported program in a child.

    Skipped with --unsafe-pickle, which trusts the files. Raises `UsageError` for a file that the child cannot
    read within its limits.
    """
    require_files(model)
    program = Path(model.name) if model.name.endswith(".pt2") else None
    files = [path for path in (program, model.checkpoint) if path is not None]
    if not files or model.unsafe_pickle:
        return
    arguments = {
        "model": model.name,
        "checkpoint": None if model.checkpoint is None else str(model.checkpoint),
        "prefer_ema": model.prefer_ema,
    }
    sandbox.call_in_child(
        "mocovit_deploy.models.probe:probe_in_child",
        arguments,
        sandbox.limits_for(*files),
        subject=" and ".join(map(str, files)),
        failure=UsageError,
        verbose=verbose,
    )


def probe_in_child(model: str, checkpoint: str | None, prefer_ema: bool) -> None:
    """In the child: read `checkpoint`, and read and run `model` once if it is a program.

    Raises the errors of their readers. torch is imported here, so only in the child.
    """
    from mocovit_deploy.models import program
    from mocovit_deploy.models.checkpoint import read_state_dict

    if checkpoint is not None:
        read_state_dict(Path(checkpoint), prefer_ema, unsafe_pickle=False)
    if program.knows(model):
        program.run_once(ModelSpec(model))
