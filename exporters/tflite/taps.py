"""Inside a TFLite file: its marked values, and the file changed so that they can be seen or replaced.

    before   x - CONV_2D - c - ADD - y
    after    x - CONV_2D - c (an output)     given c (an input) - ADD - y        with c returned and replaced

The changed file runs in the same runtime with the same kernels, so its values are those that XNNPACK
computes. Only the first subgraph is changed. The others are bodies of its operators.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from exporters.tflite.flatbuffer import codes_of, model_bytes, read_model
from exporters.tflite.rounding import CONVERSIONS, MOVES, levels_of, marks_of, roundings
from exporters.tflite.run import arithmetic_of, interpreter
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.marks import FileValue
from mocovit_deploy.errors import ConversionError, first_line


def values(artifact: Artifact) -> tuple[FileValue, ...]:
    """The marked values of the file and its outputs, in order.

    Raises `ConversionError` for a file that is not TFLite.
    """
    model = _tables(artifact)
    graph = model.subgraphs[0]
    names = _names(model)
    varying = {int(index) for index in graph.inputs}
    conversions = codes_of(model, *CONVERSIONS)
    computed = _last_computed(model)
    try:
        rounded = roundings(model, names)
    except ConversionError as error:
        raise ConversionError(f"{artifact.path}: {error}") from None
    found = []
    for place, operator in enumerate(graph.operators):
        if not varying.intersection(map(int, operator.inputs)):
            continue  # it widens weights, which bear the mark of the layer that reads them
        for index in map(int, operator.outputs):
            varying.add(index)
            tensor = graph.tensors[index]
            first = {} if index in graph.outputs else computed
            marks = tuple(mark for mark in marks_of(tensor) if place >= first.get(mark, 0))
            copied = operator.opcodeIndex in conversions  # the value itself is listed where it is computed
            if (marks and not copied) or index in graph.outputs:
                shape = tuple(map(int, tensor.shape))
                layout = "nhwc" if len(shape) == 4 else ""
                source = graph.tensors[int(operator.inputs[0])] if copied else tensor
                levels = levels_of(tensor) or levels_of(source)
                own = [rounded[mark] for mark in marks_of(tensor) if mark in rounded]
                reads = tuple(dict.fromkeys(read for one in own for read in one.reads))
                whole = any(one.whole_weights for one in own)
                found.append(FileValue(names[index], marks, shape, layout, levels, reads, whole))
    return tuple(found)


def _last_computed(model: Any) -> dict[str, int]:
    """By mark: the place of the last operator with that mark that computes, not only rearranges.

        x - TRANSPOSE "conv2d" - CONV_2D "relu;conv2d"      conv2d: CONV_2D

    An operator before that place prepares an operand: its result is not the value of the layer.
    """
    moves = codes_of(model, *MOVES, *CONVERSIONS)
    graph = model.subgraphs[0]
    found: dict[str, int] = {}
    for place, operator in enumerate(graph.operators):
        if operator.opcodeIndex not in moves:
            found |= {
                mark: place for index in operator.outputs for mark in marks_of(graph.tensors[int(index)])
            }
    return found


class TappedPredictor:
    """The changed file in the installed interpreter. Values are passed and returned by their own names."""

    def __init__(self, artifact: Artifact, model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        interpreter_class, self.runtime = interpreter()
        try:
            self._interpreter = interpreter_class(model_content=model_bytes(model))
            self._interpreter.allocate_tensors()
            self.arithmetic = arithmetic_of(artifact.path, interpreter_class, self._interpreter)
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"{artifact.path}: {self.runtime} cannot load it: {first_line(error)}"
            ) from error
        self._inputs = dict(zip(inputs, self._interpreter.get_input_details(), strict=True))
        self._outputs = dict(zip(outputs, self._interpreter.get_output_details(), strict=True))

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        for name, array in inputs.items():
            wanted = self._inputs[name]
            self._interpreter.set_tensor(wanted["index"], _stored(array, wanted))
        self._interpreter.invoke()
        return {
            name: _real(self._interpreter.get_tensor(one["index"]), one)
            for name, one in self._outputs.items()
        }


def _stored(array: Array, details: Mapping[str, Any]) -> Array:
    """An array as a tensor of the file stores it: quantized if the tensor has a scale and zero point."""
    array, (scale, zero) = np.asarray(array), details["quantization"]
    if not scale or array.dtype.kind != "f":
        return np.asarray(array, details["dtype"])
    limits = np.iinfo(details["dtype"])
    stored: Array = np.clip(np.round(array / scale) + zero, limits.min, limits.max)
    return stored.astype(details["dtype"])


def _real(array: Array, details: Mapping[str, Any]) -> Array:
    """The real values of a stored tensor: dequantized if it has a scale and zero point."""
    scale, zero = details["quantization"]
    real: Array = (array.astype(np.float32) - zero) * np.float32(scale) if scale else array
    return real


def load_inside(artifact: Artifact, names: Sequence[str], given: Sequence[str]) -> TappedPredictor:
    """The file in the runtime, with the values `names` among its outputs and `given` among its inputs."""
    model = _tables(artifact)
    graph = model.subgraphs[0]
    known = _names(model)
    index_of = {name: index for index, name in known.items()}
    inputs = [*map(int, graph.inputs)]
    replaced: dict[int, int] = {}
    for name in given:
        stand_in = copy.copy(graph.tensors[index_of[name]])
        stand_in.buffer = 0  # the empty one: a value, not a constant
        replaced[index_of[name]] = len(graph.tensors)
        inputs.append(len(graph.tensors))
        graph.tensors.append(stand_in)
    for operator in graph.operators:
        operator.inputs = np.array([replaced.get(int(i), int(i)) for i in operator.inputs], np.int32)
    outputs = list(dict.fromkeys([*map(int, graph.outputs), *(index_of[name] for name in names)]))
    taken = [known[int(index)] for index in graph.inputs]
    graph.inputs, graph.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
    model.signatureDefs = []
    return TappedPredictor(artifact, model, [*taken, *given], [known[index] for index in outputs])


def _tables(artifact: Artifact) -> Any:
    try:
        model = read_model(artifact.path.read_bytes())
    except ConversionError as error:
        raise ConversionError(f"{artifact.path}: {error}") from None
    # The bindings raise any type of error for a damaged file.
    except Exception as error:
        raise ConversionError(f"{artifact.path}: not a TFLite file ({first_line(error)})") from error
    # Other subgraphs are bodies of operators, such as the maximum in a STABLEHLO_REDUCE_WINDOW.
    if any(signature.subgraphIndex for signature in model.signatureDefs or []):
        raise ConversionError(f"{artifact.path}: its inputs are not those of its first subgraph")
    return model


def _names(model: Any) -> dict[int, str]:
    """A unique name for each tensor: that of the signature if it has one, else its own."""
    graph = model.subgraphs[0]
    names: dict[int, str] = {}
    for index, tensor in enumerate(graph.tensors):
        names[index] = (tensor.name or b"").decode(errors="replace")
    for signature in model.signatureDefs or []:
        for entry in (*signature.inputs, *signature.outputs):
            names[int(entry.tensorIndex)] = entry.name.decode(errors="replace")
    seen: set[str] = set()
    for index, name in names.items():
        if name in seen:
            names[index] = f"{name}#{index}"
        seen.add(names[index])
    return names
