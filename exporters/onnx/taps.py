"""Inside an ONNX file: its marked values, and the file changed so that they can be seen or replaced.

before   x - Conv - c - Relu - y
after    x - Conv - c (an output)     given/c (an input) - Relu - y        with c returned and replaced

before   x - Conv - c - Q - DQ - Relu - y
after    x - Conv - c - Q - DQ (an output)      given/c (an input) - Q - DQ - Relu - y

So a runtime fuses DQ - Conv - Q in the changed file as it does in the file itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exporters.onnx.metadata import MODULE_KEY, OPERATION_KEY
from exporters.onnx.rounding import Pair, pairs_of, rounded_inputs, weights_in_whole_numbers
from exporters.onnx.run import OnnxRuntime, arithmetic_of, session
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.marks import FileValue, mark
from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.extras import needs_extra

GIVEN = "given/"
"""The prefix of the input that replaces a value, before the name of that value."""
OWN = "own/"
"""The prefix of the nodes and results that round a value once more."""


def values(artifact: Artifact) -> tuple[FileValue, ...]:
    """The marked values of the file, in order, without those whose static shape is unknown.

    Raises `ConversionError` for a file that onnx cannot read.
    """
    model = _inferred(artifact)
    shapes, pairs = _types(model), pairs_of(model)
    whole = weights_in_whole_numbers(model)
    found = []
    for node in model.graph.node:
        keys = {entry.key: entry.value for entry in node.metadata_props}
        if OPERATION_KEY not in keys:
            continue
        marks = (mark(keys.get(MODULE_KEY, ""), keys[OPERATION_KEY]),)
        static = {name: shape for name in node.output if (shape := _shape(shapes.get(name)))}
        reads = rounded_inputs(model, node, pairs)
        for name, shape in static.items():
            levels = pairs[name].levels if name in pairs else None
            found.append(FileValue(name, marks, shape, "", levels, reads, name in whole))
    return tuple(found)


class TappedPredictor:
    """The changed file. Values are passed and returned by their own names, cast to the types of the file."""

    def __init__(
        self, run: OnnxRuntime, given: Sequence[str], renamed: Mapping[str, str], types: Mapping[str, Any]
    ) -> None:
        """`renamed` holds the names of values by those of the outputs that stand for them."""
        self._run, self._given, self._renamed, self._types = run, tuple(given), renamed, types
        self.runtime, self.arithmetic = run.runtime, run.arithmetic

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        onnx = needs_extra("onnx", "onnx")
        passed = {}
        for name, array in inputs.items():
            inner = GIVEN + name if name in self._given else name
            kind = self._types[name].tensor_type.elem_type
            passed[inner] = array.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
        return {self._renamed.get(name, name): array for name, array in self._run(passed).items()}


def load_inside(artifact: Artifact, names: Sequence[str], given: Sequence[str]) -> TappedPredictor:
    """The file in ONNX Runtime, with the values `names` among its outputs and `given` among its inputs."""
    onnx = needs_extra("onnx", "onnx")
    model = _inferred(artifact)
    types, pairs = _types(model), pairs_of(model)
    replaced = {name: GIVEN + name for name in given}
    stands_for = {name: pairs[name].real for name in names if name in pairs}
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if name in replaced:
                node.input[position] = replaced[name]
    for name in (name for name in given if name in pairs):
        stands_for[name] = _add_pair(model, name, pairs[name])
    outputs = {output.name for output in model.graph.output}
    model.graph.output.extend(
        onnx.helper.make_value_info(stands_for.get(name, name), types[name])
        for name in names
        if name not in outputs
    )
    model.graph.input.extend(onnx.helper.make_value_info(replaced[name], types[name]) for name in given)
    run = OnnxRuntime(*session(model.SerializeToString(), artifact.path))
    run.arithmetic = arithmetic_of(artifact.recipe)
    return TappedPredictor(run, given, {real: name for name, real in stands_for.items()}, types)


def _add_pair(model: Any, name: str, pair: Pair) -> str:
    """Round a value once more, for an output of its own. Returns the name of the rounded value."""
    stored, real = f"{OWN}{pair.widen.input[0]}", OWN + pair.real
    for node, source, result in ((pair.quantize, name, stored), (pair.widen, stored, real)):
        copied = model.graph.node.add()
        copied.CopyFrom(node)
        copied.name, copied.input[0], copied.output[0] = OWN + node.name, source, result
    return real


def _inferred(artifact: Artifact) -> Any:
    """The file with the type of every value that onnx can infer."""
    onnx = needs_extra("onnx", "onnx")
    try:
        return onnx.shape_inference.infer_shapes(onnx.load(str(artifact.path)))
    except Exception as error:
        raise ConversionError(f"{artifact.path}: onnx cannot read it: {first_line(error)}") from error


def _types(model: Any) -> dict[str, Any]:
    graph = model.graph
    return {value.name: value.type for value in (*graph.input, *graph.value_info, *graph.output)}


def _shape(kind: Any | None) -> tuple[int, ...] | None:
    if kind is None or not kind.tensor_type.HasField("shape"):
        return None
    sizes = kind.tensor_type.shape.dim
    return tuple(size.dim_value for size in sizes) if all(size.dim_value for size in sizes) else None
