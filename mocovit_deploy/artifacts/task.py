"""What a network does beyond naming classes, and what each of its outputs means: plain data.

    {"kind": "segmentation", "outputs": {"segmentation": "segmentation"}, "classes": 19, "stride": 8, ...}

A network of this package says it in its attribute `task`; the manifest and the file itself repeat it, so that
whoever decodes the outputs needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SEGMENTATION = "segmentation"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a network gives. `facts` is what its `kind` needs to be decoded, in words and numbers of JSON."""

    kind: str
    roles: tuple[str, ...]
    """What each output is, in the order of the network's."""
    facts: Mapping[str, Any]

    def as_json(self, outputs: Sequence[str]) -> dict[str, Any]:
        """Plain data; `outputs` are the names that the outputs have in files."""
        return {"kind": self.kind, "outputs": dict(zip(self.roles, outputs, strict=True)), **self.facts}
