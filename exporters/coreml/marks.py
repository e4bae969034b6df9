"""The torch module and the operation of the graph that a value of a Core ML program comes from.

`write_package` stores both in the file's metadata, because coremltools keeps only names.
"""

from __future__ import annotations

import json

from exporters.coreml.metadata import IN_HALF, PREFIX
from exporters.coreml.program import Program
from mocovit_deploy.artifacts.marks import split_mark


def marks_of(program: Program) -> dict[str, str]:
    """The marks of a program's values, by name; empty for files that this project did not write."""
    return _stored(program, "marks")


def module_of(program: Program, name: str) -> str | None:
    """The torch module of the operation that makes the value `name`, "" for the network's own forward.

    None for files that this project did not write.
    """
    if mark := marks_of(program).get(name):
        return split_mark(mark)[0]
    return _stored(program, "modules").get(name)


def _stored(program: Program, key: str) -> dict[str, str]:
    try:
        stored = json.loads(program.metadata.get(f"{PREFIX}{key}", "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(stored, dict):
        return {}
    names = [value.name for operation in program.operations for value in operation.outputs]
    found = {name: stored.get(name, stored.get(name.removesuffix(IN_HALF))) for name in names}
    return {name: str(text) for name, text in found.items() if text is not None}
