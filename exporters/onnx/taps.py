"""Inside an ONNX file: its marked values, and the file changed so that they can be seen or replaced.

before   x - Conv - c - Relu - y
after    x - Conv - c (an output)     given/c (an input) - Relu - y        with c returned and replaced
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exporters.onnx.metadata import MODULE_KEY, OPERATION_KEY
from exporters.onnx.run import OnnxRuntime, session
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.marks import FileValue, mark
from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.extras import needs_extra

GIVEN = "given/"
"""The prefix of the input that replaces a value, before the name of that value."""


def values(artifact: Artifact) -> tuple[FileValue, ...]:
    """The marked values of the file, in order, without those whose static shape is unknown.

    Raises `ConversionError` for a file that onnx cannot read.
    """
    model = _inferred(artifact)
    shapes = _types(model)
    found = []
    for node in model.graph.node:
        keys = {entry.key: entry.value for entry in node.metadata_props}
        if OPERATION_KEY not in keys:
            continue
        marks = (mark(keys.get(MODULE_KEY, ""), keys[OPERATION_KEY]),)
        static = {name: shape for name in node.output if (shape := _shape(shapes.get(name)))}
        found += [FileValue(name, marks, shape) for name, shape in static.items()]
    return tuple(found)


class TappedPredictor:
    """The changed file. Values are passed by their own names, and cast to the types of the file."""

    def __init__(self, run: OnnxRuntime, given: Sequence[str], types: Mapping[str, Any]) -> None:
        self._run, self._given, self._types = run, tuple(given), types
        self.runtime, self.arithmetic = run.runtime, run.arithmetic

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        onnx = needs_extra("onnx", "onnx")
        passed = {}
        for name, array in inputs.items():
            inner = GIVEN + name if name in self._given else name
            kind = self._types[name].tensor_type.elem_type
            passed[inner] = array.astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
        return self._run(passed)


def load_inside(artifact: Artifact, names: Sequence[str], given: Sequence[str]) -> TappedPredictor:
    """The file in ONNX Runtime, with the values `names` among its outputs and `given` among its inputs."""
    onnx = needs_extra("onnx", "onnx")
    model = _inferred(artifact)
    types = _types(model)
    replaced = {name: GIVEN + name for name in given}
    for node in model.graph.node:
        for position, name in enumerate(node.input):
            if name in replaced:
                node.input[position] = replaced[name]
    outputs = {output.name for output in model.graph.output}
    model.graph.output.extend(
        onnx.helper.make_value_info(name, types[name]) for name in names if name not in outputs
    )
    model.graph.input.extend(onnx.helper.make_value_info(replaced[name], types[name]) for name in given)
    return TappedPredictor(OnnxRuntime(*session(model.SerializeToString(), artifact.path)), given, types)


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
