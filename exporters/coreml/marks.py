"""The torch module and the operation of the graph that a value of a Core ML program comes from.

`write_package` stores both in the file's metadata, because coremltools keeps only names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from exporters.coreml.metadata import IN_HALF, PREFIX
from exporters.coreml.program import Program
from mocovit_deploy.artifacts.marks import split_mark

LAYERS = ("conv", "linear", "matmul")


def marks_of(program: Program) -> dict[str, str]:
    """The marks of a program's values, by name; empty for files that this project did not write.

    coremltools gives some layers in half precision names of its own. Such a layer has the mark of its
    module's operation whose name is gone, if there is one alone.
    """
    stored = _stored(program, "marks")
    found = _by_value(program, stored)
    gone: dict[str, set[str]] = {}
    for text in set(stored.values()) - set(found.values()):
        gone.setdefault(split_mark(text)[0], set()).add(text)
    modules = _by_value(program, _stored(program, "modules"))
    renamed: dict[str, list[str]] = {}
    for operation in program.operations:
        if operation.kind in LAYERS and operation.name not in found and operation.name in modules:
            renamed.setdefault(modules[operation.name], []).append(operation.name)
    for module, names in renamed.items():
        if len(names) == len(gone.get(module, ())) == 1:
            found |= dict(zip(names, gone[module], strict=True))
    return found


def module_of(program: Program, name: str) -> str | None:
    """The torch module of the operation that makes the value `name`, "" for the network's own forward.

    None for files that this project did not write.
    """
    if mark := marks_of(program).get(name):
        return split_mark(mark)[0]
    return _by_value(program, _stored(program, "modules")).get(name)


def _stored(program: Program, key: str) -> dict[str, str]:
    try:
        stored = json.loads(program.metadata.get(f"{PREFIX}{key}", "{}"))
    except (ValueError, RecursionError):
        return {}
    return {name: str(text) for name, text in stored.items()} if isinstance(stored, dict) else {}


def _by_value(program: Program, stored: Mapping[str, str]) -> dict[str, str]:
    """What is stored for the values that the program has."""
    names = [value.name for operation in program.operations for value in operation.outputs]
    found = {name: stored.get(name, stored.get(name.removesuffix(IN_HALF))) for name in names}
    return {name: text for name, text in found.items() if text is not None}
