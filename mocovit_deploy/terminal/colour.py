"""Colour for verdicts: only on a terminal, and never if NO_COLOR is set (no-color.org)."""

from __future__ import annotations

import os
import re
from typing import TextIO

_COLOURS = {"pass": "32", "fail": "31", "not run": "33"}
_VERDICT = re.compile(r"(?<=  )(pass|fail|not run)(?=(;.*)?$)", re.MULTILINE)
"""A verdict in the last column of a table."""


def wants_colour(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that shows colours, and NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, stream: TextIO) -> str:
    """`text` with the verdicts in its tables coloured if `wants_colour(stream)`; else unchanged."""
    if not wants_colour(stream):
        return text
    return _VERDICT.sub(lambda found: f"\x1b[{_COLOURS[found[1]]}m{found[1]}\x1b[0m", text)
