"""Converting between the arrays of a golden file and the raw tensors of a runtime.

A golden file holds real numbers under the names of the file's signature. Here they are put into the order of
the runtime and, where a tensor of the file is quantized, into its integers:

    stored = clip(round(real / scale) + zero_point)        real = (stored - zero_point) * scale
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.targets.bench.process import INPUT, OUTPUT, BenchTensor
from exporters.tflite.contents import FileTensor, Quantization, read_interface
from mocovit_deploy.artifacts.artifact import Array, Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import DeployError, UsageError


@dataclass(frozen=True)
class Order:
    """A file's inputs and outputs in the order in which a runtime takes and gives them."""

    inputs: tuple[FileTensor, ...]
    outputs: tuple[FileTensor, ...]

    @property
    def names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The names of the inputs, and those of the outputs."""
        return tuple(one.name for one in self.inputs), tuple(one.name for one in self.outputs)

    def named(self, inputs: Sequence[str], outputs: Sequence[str]) -> Order | None:
        """The same tensors in the order of these names; None if the names are not theirs."""
        if (sorted(inputs), sorted(outputs)) != tuple(sorted(side) for side in self.names):
            return None
        return Order(
            tuple(sorted(self.inputs, key=lambda one: inputs.index(one.name))),
            tuple(sorted(self.outputs, key=lambda one: outputs.index(one.name))),
        )


def order_of(artifact: Artifact) -> Order:
    """The order in the file: that of a TFLite subgraph, or of an ONNX graph, which the manifest lists."""
    if artifact.format == "tflite":
        interface = read_interface(artifact.path)
        return Order(interface.inputs, interface.outputs)
    return Order(
        tuple(FileTensor(tensor.name, tensor.dtype, None) for tensor in artifact.inputs),
        tuple(FileTensor(tensor.name, tensor.dtype, None) for tensor in artifact.outputs),
    )


def check_names(artifact: Artifact, golden: Golden, order: Order) -> None:
    """Raise `UsageError` unless the golden file has the names of the file."""
    for side, arrays, tensors in (
        ("inputs", golden.inputs, order.inputs),
        ("outputs", golden.outputs, order.outputs),
    ):
        names = [tensor.name for tensor in tensors]
        if set(arrays) != set(names):
            raise UsageError(
                f"{artifact.path}: its {side} are {', '.join(names):.300}, the golden file has "
                f"{', '.join(sorted(arrays)):.300}; export again"
            )


def write_inputs(folder: Path, golden: Golden, tensors: Sequence[FileTensor], *, samples: int) -> None:
    """Write the inputs of the first `samples` samples, in the runtime's order and the file's types."""
    with (folder / INPUT).open("wb") as stream:
        for sample in range(samples):
            for tensor in tensors:
                stream.write(_little_endian(as_stored(golden.inputs[tensor.name][sample], tensor)))


def as_stored(array: Array, tensor: FileTensor) -> Array:
    """`array` as the tensor of the file stores it. Raises `UsageError` for an impossible quantized type."""
    quantization = tensor.quantization
    if (
        array.dtype.name == tensor.dtype
        or quantization is None
        or not np.issubdtype(array.dtype, np.floating)
    ):
        return array
    if not re.fullmatch(r"u?int(8|16|32)", tensor.dtype):
        raise UsageError(f"{tensor.name} is quantized in {tensor.dtype or 'no type'}; is the file damaged?")
    limits = np.iinfo(tensor.dtype)
    steps = np.round(array / quantization.scale) + quantization.zero_point
    return np.clip(steps, limits.min, limits.max).astype(tensor.dtype)


def real(array: Array, quantization: Quantization | None, wanted: np.dtype[Any]) -> Array:
    """The inverse of `as_stored`, if the golden file holds real numbers and the file integers."""
    if (
        quantization is None
        or not np.issubdtype(wanted, np.floating)
        or np.issubdtype(array.dtype, np.floating)
    ):
        return array
    return ((array.astype(np.float64) - quantization.zero_point) * quantization.scale).astype(wanted)


def check_types(artifact: Artifact, golden: Golden, order: Order, tensors: Sequence[BenchTensor]) -> None:
    """Raise `UsageError` unless the written inputs have the types and shapes of the runtime's tensors."""
    for named, tensor in zip(order.inputs, tensors, strict=True):
        array = golden.inputs[named.name]
        written = as_stored(array[0], named).dtype.name
        if (written, array.shape[1:]) != (tensor.dtype, tensor.shape):
            raise UsageError(
                f"{artifact.path}: input {named.name} is {tensor.dtype} {list(tensor.shape)} in the runtime, "
                f"{written} {list(array.shape[1:])} in the golden file; export again"
            )


def read_outputs(
    folder: Path, golden: Golden, order: Order, tensors: Sequence[BenchTensor]
) -> Mapping[str, Array]:
    """The outputs of all samples, by name, with the samples as the first axis, in the golden file's types.

    Raises `DeployError` if the length of the output file does not fit its tensors.
    """
    raw = (folder / OUTPUT).read_bytes()
    samples, each = len(golden), sum(tensor.bytes for tensor in tensors)
    if len(raw) != each * samples:
        raise DeployError(f"{OUTPUT}: {len(raw)} bytes, {samples} samples take {each * samples}")
    found: dict[str, Array] = {}
    offset = 0
    for named, tensor in zip(order.outputs, tensors, strict=True):
        dtype = np.dtype(tensor.dtype).newbyteorder("<")
        pieces = [raw[sample * each + offset :][: tensor.bytes] for sample in range(samples)]
        arrays = np.stack([np.frombuffer(piece, dtype).reshape(tensor.shape) for piece in pieces])
        native = arrays.astype(np.dtype(tensor.dtype))
        found[named.name] = real(native, named.quantization, golden.outputs[named.name].dtype)
        offset += tensor.bytes
    return found


def _little_endian(array: Array) -> bytes:
    contiguous = np.ascontiguousarray(array)
    return contiguous.astype(contiguous.dtype.newbyteorder("<"), copy=False).tobytes()
