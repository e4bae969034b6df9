"""What a network that is not a classifier computes, and what each of its outputs means: plain data.

    {"kind": "segmentation", "outputs": {"segmentation": "segmentation"}, "classes": 19, "stride": 8, ...}

A network of this package declares it in its attribute `task`. It is copied into the manifest and into the
file, so that code that decodes the outputs needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mocovit_deploy.kinds import plain_numbers

SEGMENTATION, DETECTION, INSTANCES = "segmentation", "detection", "instances"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a network computes. `facts` holds what decoding outputs of its `kind` needs, as JSON data."""

    kind: str
    roles: tuple[str, ...]
    """The meaning of each output, in the network's order."""
    facts: Mapping[str, Any]

    def as_json(self, outputs: Sequence[str]) -> dict[str, Any]:
        """Plain data; `outputs` are the names that the outputs have in files, in the network's order."""
        named = dict(zip(self.roles, outputs, strict=True))
        return {"kind": self.kind, "outputs": named, **plain_numbers(self.facts)}
