"""TFLite: litert-torch (once ai-edge-torch) writes, LiteRT (once tflite-runtime) with XNNPACK runs."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mocovit_deploy.artifact import Array, Artifact, ExportJob, Written
from mocovit_deploy.errors import ConversionError, MissingToolError, first_line, needs_extra
from mocovit_deploy.spec import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

SUFFIX = ".tflite"
RECIPES = ("fp32",)
FREE_BATCH = False


def export(graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob) -> Written:
    """Write `graph` as a TFLite file with static shapes, images in `job.layout`.

    Raises `ConversionError` where litert-torch cannot take the graph; `MissingToolError` where it is not
    installed (there are wheels for Linux x86-64 and macOS).
    """
    litert_torch = needs_extra("litert_torch", "tflite")
    inputs = tuple(_in_file_layout(tensor, job.layout) for tensor in job.inputs)
    module = _with_names(graph, inputs, job.outputs)
    arguments = {
        spec.name: tensor.movedim(-3, -1).contiguous() if spec.layout == "nhwc" else tensor
        for spec, tensor in zip(inputs, example, strict=True)
    }
    try:
        with _one_retrace_less():
            converted = litert_torch.convert(module, sample_kwargs=arguments)
        converted.export(str(job.path))
    except Exception as error:
        raise ConversionError(f"litert-torch cannot write this network: {first_line(error)}") from error
    return Written(inputs=inputs, outputs=job.outputs, tools=_versions())


def _in_file_layout(tensor: TensorSpec, layout: str) -> TensorSpec:
    if tensor.layout != "nchw" or layout == "nchw":
        return tensor
    n, c, h, w = tensor.shape
    return TensorSpec(tensor.name, (n, h, w, c), tensor.dtype, "nhwc")


def _with_names(
    graph: fx.GraphModule, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> nn.Module:
    """The graph behind an interface of keyword inputs and a dictionary of outputs, which become its names."""
    import torch
    from torch import nn

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = graph

        def forward(self, **tensors: Tensor) -> dict[str, Tensor]:
            images = [
                tensors[spec.name].movedim(-1, -3) if spec.layout == "nhwc" else tensors[spec.name]
                for spec in inputs
            ]
            leaves = torch.utils._pytree.tree_leaves(self.network(*images))
            return {spec.name: leaf for spec, leaf in zip(outputs, leaves, strict=True)}

    return Named().eval()


@contextlib.contextmanager
def _one_retrace_less() -> Iterator[None]:
    """Leave out litert-torch's CanonicalizePass, which traces the whole network once more.

    The lowering that follows traces it again anyway, and the files are byte for byte the same: 3 s of 11
    (docs/decisions/0003-litert-torch-without-canonicalize.md). Parity judges the file either way.
    """
    passes = importlib.import_module("litert_torch._convert.fx_passes")
    result = importlib.import_module("litert_torch.fx_infra.pass_base").ExportedProgramPassResult
    original = passes.CanonicalizePass.call
    passes.CanonicalizePass.call = lambda _self, program: result(program, False)
    try:
        yield
    finally:
        passes.CanonicalizePass.call = original


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "litert-torch", "litert-converter")}


class _LiteRT:
    """A TFLite file in LiteRT's interpreter, which hands what it can to XNNPACK."""

    arithmetic = "fp32"

    def __init__(self, artifact: Artifact) -> None:
        interpreter_class, self.runtime = _interpreter()
        try:
            self._interpreter = interpreter_class(model_path=str(artifact.path))
            self._interpreter.allocate_tensors()
            self._run = self._interpreter.get_signature_runner()
        except (ValueError, RuntimeError) as error:
            raise ConversionError(
                f"{artifact.path}: {self.runtime} cannot load it: {first_line(error)}"
            ) from error

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(self._run(**inputs))


def _interpreter() -> tuple[Any, str]:
    """The installed interpreter class and what to call it: ai-edge-litert, or else tflite-runtime."""
    from importlib.metadata import version

    for module, package in (("ai_edge_litert", "ai-edge-litert"), ("tflite_runtime", "tflite-runtime")):
        try:
            found = importlib.import_module(f"{module}.interpreter")
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
            continue
        return found.Interpreter, f"{package} {version(package)}"
    raise MissingToolError("no TFLite runtime is installed; run: pip install ai-edge-litert")


def load(artifact: Artifact) -> _LiteRT:
    """The file in LiteRT, or in tflite-runtime where only that is installed. Works without torch."""
    return _LiteRT(artifact)
