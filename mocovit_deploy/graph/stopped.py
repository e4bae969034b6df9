"""Find the operation of a network that a converter, or torch, was converting when it raised an error.

Converters name only the kind of the operation, as in "Unsupported fx node prod", and a network may have fifty
of that kind. They walk over the nodes of the graph one by one, and torch.export carries the mark of each node
(`marked`) through every retrace. So the frames of the exception hold the node, and the node holds its mark.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mocovit_deploy.artifacts.marks import split_mark
from mocovit_deploy.graph.edit import mark_of

NAMES = ("node", "n", "fx_node", "op")
"""The local variables in which torch, coremltools and litert-torch keep the current node."""
MOST_STEPS = 100
"""How many operations of MIL are followed to one that has a name of torch's graph."""


def stopped_at(error: BaseException, marks: Mapping[str, str] = MappingProxyType({})) -> str:
    """The module and the operation of the innermost frame of `error` that has a node, as in "body.2 (prod)".

    `marks` maps names of values to marks. They identify operations of MIL and, if no frame has a node, a
    value that the message quotes. "the graph" if nothing is found.
    """
    found = ""
    cause: BaseException | None = error
    while cause is not None:
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            in_hand = (_mark(frame.f_locals.get(name), marks) for name in NAMES)
            found = next(filter(None, in_hand), found)
        cause = cause.__cause__ or cause.__context__
    quoted = re.findall(r"[\"']([A-Za-z_]\w*)[\"']", str(error))
    found = found or next((marks[name] for name in quoted if name in marks), "")
    if not found:
        return "the graph"
    module, operation = split_mark(found)
    return f"{module or 'the network'} ({re.sub('_+[0-9]*$', '', operation)})"


def _mark(value: Any, marks: Mapping[str, str]) -> str:
    """The mark of a node of torch's graph, or of an operation of MIL; empty if there is none.

    coremltools writes one torch operation as several of MIL. Only the last has its name, so an operation of
    MIL gets the mark of the next one that has a name.
    """
    if isinstance(getattr(value, "meta", None), dict):
        return mark_of(value)
    pending = [value] if marks and hasattr(value, "outputs") else []
    for _ in range(MOST_STEPS):
        if not pending:
            break
        for made in pending.pop(0).outputs:
            if made.name in marks:
                return marks[made.name]
            pending += made.child_ops
    return ""
