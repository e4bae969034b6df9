"""The operations of a Core ML file, read without running it."""

from __future__ import annotations

from exporters.coreml.marks import marks_of
from exporters.coreml.read import read_program
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.marks import marks_in, split_mark
from mocovit_deploy.artifacts.operator import ROOT_MODULE, FileOperator


def operators(artifact: Artifact) -> tuple[FileOperator, ...]:
    """The operations of the program in order, without its constants.

    Raises `UsageError` for a folder that is not a Core ML program, `MissingToolError` without coremltools.
    """
    program = read_program(artifact.path)
    marks = marks_of(program)
    found = []
    for index, operation in enumerate(program.operations):
        first = operation.outputs[0] if operation.outputs else None
        name = first.name if first else ""
        own = marks_in(marks.get(name, ""))
        where = (split_mark(own[0])[0] or ROOT_MODULE) if own else name
        found.append(
            FileOperator(index, operation.kind, where, dtype=first.dtype if first else "", output=name)
        )
    return tuple(found)
