"""The record of a network trained on scenes. Checkpoints are those of examples/digits/checkpoint.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from examples.digits.checkpoint import Origin, read_origin

PROGRAM = "examples.scenes.train"


@dataclass(frozen=True, kw_only=True)
class Record(Origin):
    """What a checkpoint holds, how it was trained, and its figures."""

    backbone: str
    """The checkpoint of examples/digits that its backbone was taken from, and the digest of that file."""
    figures: Mapping[str, float]
    """By name (`judge.FIGURES`), on all held-out scenes, in float32, from 0 to 1."""


def read_record(path: Path) -> Record:
    """Read the record beside checkpoint `path`, and check the digest. Raises the errors of `read_origin`."""
    return read_origin(path, Record, PROGRAM)
