"""Read the files a user names, as the command is about to, in a child that may crash or be stopped.

Unpickling tensors alone runs no code, but a made-up file can still take for ever (a dictionary whose key is a
tuple nested forty times within itself is hashed in 2^40 steps) or all memory, and torch's readers are C++.
What has been read here once within limits is read again, in the command itself, to be used.
"""

from __future__ import annotations

from pathlib import Path

from mocovit_deploy.models import program
from mocovit_deploy.models.checkpoint import read_state_dict
from mocovit_deploy.spec import ModelSpec


def probe(model: str, checkpoint: str | None, prefer_ema: bool) -> None:
    """Read `checkpoint`, and `model` where it is a program, and run that once; raises as they do."""
    if checkpoint is not None:
        read_state_dict(Path(checkpoint), prefer_ema, unsafe_pickle=False)
    if program.knows(model):
        program.run_once(ModelSpec(model))
