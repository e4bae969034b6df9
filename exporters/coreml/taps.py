"""Inside a Core ML file: its marked values, and runs of the numpy reference that return or replace them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporters.coreml.execute import execute
from exporters.coreml.marks import marks_of
from exporters.coreml.program import Program
from exporters.coreml.read import read_program
from exporters.coreml.rounding import before_cast, has_whole_weights, reads_of
from exporters.coreml.run import load
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.marks import FileValue, marks_in


def values(artifact: Artifact) -> tuple[FileValue, ...]:
    """The marked values of the file and its outputs, in order, without those of unknown shape.

    Raises `UsageError` for a folder that is not a Core ML program.
    """
    program = read_program(artifact.path)
    marks = marks_of(program)
    makers = {value.name: operation for operation in program.operations for value in operation.outputs}
    found = []
    for operation in program.operations:
        computed = before_cast(operation, makers)
        reads, whole = reads_of(program, computed, marks, makers), has_whole_weights(program, computed)
        for value in operation.outputs:
            shape = tuple(size for size in value.shape if size is not None)
            if (value.name in marks or value.name in program.outputs) and len(shape) == len(value.shape):
                known = marks_in(marks.get(value.name, ""))
                found.append(FileValue(value.name, known, shape, reads=reads, whole_weights=whole))
    return tuple(found)


@dataclass
class TappedPredictor:
    """The numpy reference, returning the values in `wanted` and taking those in `given`."""

    program: Program
    runtime: str
    arithmetic: str
    wanted: frozenset[str]
    given: frozenset[str]

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = {name: array for name, array in inputs.items() if name in self.given}
        taken = {name: array for name, array in inputs.items() if name not in self.given}
        return execute(self.program, taken, self.program.arithmetic, wanted=self.wanted, given=given)


def load_inside(artifact: Artifact, names: Sequence[str], given: Sequence[str]) -> TappedPredictor:
    """The file in the numpy reference, with the values `names` returned and the values `given` replaced."""
    plain = load(artifact)
    return TappedPredictor(plain.program, plain.runtime, plain.arithmetic, frozenset(names), frozenset(given))
