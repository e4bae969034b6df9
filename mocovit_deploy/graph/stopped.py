"""Where in the network a converter stopped: at the operation that it, or torch, had in hand when it raised.

Converters refuse by the name of an operation, as "Unsupported fx node prod", and a network may have fifty of
them. They walk over the nodes of the graph one by one, and torch.export carries the mark of each (`marked`)
through every retrace: the frames of the exception hold the node, and the node its mark.
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
"""What torch, coremltools and litert-torch call the node in hand."""
MOST_STEPS = 100
"""From an operation of MIL to one with a name of torch's."""


def stopped_at(error: BaseException, marks: Mapping[str, str] = MappingProxyType({})) -> str:
    """The module and the operation in the innermost frame of `error` that has one: "body.2 (prod)".

    `marks`, by name of a value, tell those of MIL's operations, and of a value that the message quotes where
    no frame has any. "the graph" where nothing tells.
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
    """The mark of a node of torch's or of coremltools' graph; of an operation of MIL that of what follows.

    coremltools writes a torch operation as several, the last of which has its name.
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
