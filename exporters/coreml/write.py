"""From a captured graph to an `.mlpackage`, through `coremltools.convert`."""

from __future__ import annotations

import contextlib
import json
import tempfile
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.coreml.activations import LEAST_TARGET, int8_activations
from exporters.coreml.classifier import add_labels, labelled_output, unlabelled_note
from exporters.coreml.compress import compress_weights
from exporters.coreml.decompositions import written_for
from exporters.coreml.fp16 import fits, overflow_note
from exporters.coreml.images import input_types, is_image
from exporters.coreml.interface import (
    NARROW,
    deployment_target,
    require_plain_tensors,
    require_possible_inputs,
)
from exporters.coreml.metadata import IN_HALF, PREFIX
from exporters.coreml.toolchain import coremltools, ending_with, quiet_coremltools, uncollected
from mocovit_deploy.artifacts.marks import modules_of, split_mark
from mocovit_deploy.errors import ConversionError, unknown_choice
from mocovit_deploy.quantization.grid import Grid
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.spec import TensorSpec

if TYPE_CHECKING:
    import torch

    from mocovit_deploy.quantization.scheme import Scheme

PRECISIONS = {
    "fp32": "FLOAT32",
    "fp16": "FLOAT16",
    "static_wi8_ai8": "FLOAT32",
    "static_wi8_ai8_fp16": "FLOAT16",
    "weight_only_wi8_afp32": "FLOAT32",
    "weight_only_wi8_afp16": "FLOAT16",
    "weight_only_wp6_afp16": "FLOAT16",
}
"""Recipes, and coremltools' names for the precision that they compute in."""

NEEDS_IOS17 = "the file needs iOS 17 or newer, because its activations are int8"
OF_TORCH = "_aten"
"""The suffix of names of torch's operations that would end in a digit (see `_with_own_names`)."""
STORED_IN_HALF = "_to_fp16"
"""The suffix that coremltools adds to the name of a parameter that it stores in float16."""
PASSES_THAT_CANNOT_ACT = (
    # Quantized graphs: the captured graph is float under every recipe.
    "common::canonicalize_quantized_lut_pattern",
    "common::dequantize_quantize_pair_elimination",
    "common::dequantize_to_constexpr",
    "common::distributive_quantized_binary_op_scale_normalization",
    "common::int_op_canonicalization",
    "common::merge_affine_dequantize_with_consecutive_ops",
    "common::nullify_redundant_quantization_zero_point",
    # Loops, states and image inputs: a captured graph is a straight line from tensors to tensors.
    "common::canonicalize_inplace_pattern",
    "common::image_input_preprocess",
    "common::loop_invariant_elimination",
    "common::prefer_state_in_downstream",
)
"""Passes left out of coremltools' pipeline, because it validates the whole program around each (12 ms)."""
PASSES_THAT_ERR = ("common::fuse_elementwise_to_batchnorm",)
"""Passes left out because their results are wrong. This one turns `x * scale + shift` into a batch_norm of
variance 1 and epsilon 1e-5, which divides by sqrt(1.00001): each group norm with weights is 5e-6 too small.
Other passes fold an `x * scale + shift` behind a convolution into it."""

FOR_A_DEBUGGER = "executorch_debug_handle_mapping.json"
"""A file that coremltools writes beside the program for ExecuTorch's debugger: 0.4 MB that no app reads."""


@dataclass(frozen=True)
class WrittenPackage:
    """Facts about a file that `write_package` wrote."""

    notes: tuple[str, ...]
    """Notes for the user."""
    int8_operations: Mapping[str, int]
    """The number of operations of each kind that read int8 activations."""


def write_package(
    graph: torch.fx.GraphModule,
    example: Sequence[torch.Tensor],
    path: Path,
    *,
    recipe: str,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    minimum_deployment_target: str = "iOS16",
    colour_order: str = "",
    scheme: Scheme | None = None,
    labels: Sequence[str] = (),
) -> WrittenPackage:
    """Write `graph` to `path` (a folder) as an ML program that computes in float32 or float16.

    `recipe` is a key of `PRECISIONS`. Inputs and outputs get the names and types of the specs (`in_file`).
    They are float32 under every recipe: an app can replace one file by the other without changing its code,
    and float16 arrays exist only from iOS 16 on. The app passes an image in uint8 as a picture (images.py),
    in `colour_order`. `minimum_deployment_target` is a name of `coremltools.target`. Values that do not fit
    into fp16 stay in float32 (fp16.py). A static recipe takes the grids of activations from `scheme`
    (activations.py). `labels` add Core ML's classifier beside the output (classifier.py).

    Raises `UsageError` for a recipe, a target or a layout that Core ML files cannot have here,
    `ConversionError` for an element type that they cannot have, or when coremltools cannot convert the graph,
    `MissingToolError` without coremltools. On any error nothing is left at `path`.
    """
    if recipe not in PRECISIONS:
        raise unknown_choice("Core ML recipe", recipe, PRECISIONS)
    require_plain_tensors(inputs, outputs)
    require_possible_inputs(graph)
    ct = coremltools()
    target = deployment_target(minimum_deployment_target)
    pipeline = ct.PassPipeline()
    pipeline.remove_passes(PASSES_THAT_CANNOT_ACT + PASSES_THAT_ERR)
    known, counts = recipe_named(recipe), dict[str, int]()
    example = [_as_taken(tensor, spec) for tensor, spec in zip(example, inputs, strict=True)]
    with uncollected():
        exported, marks = _exported(ct, graph, example)
        wide = _wide(exported, example) if known.islands == "fp16" else {}
        precision = ct.precision[PRECISIONS[recipe]]
        with contextlib.ExitStack() as passes:
            if known.is_static:
                assert scheme is not None
                grids = _by_name(graph, scheme, inputs)
                passes.enter_context(ending_with(pipeline, int8_activations(grids, marks, IN_HALF, counts)))
                pipeline.append_pass(
                    "common::remove_redundant_ops"
                )  # round a value with several readers once
                target = max(target, ct.target[LEAST_TARGET])
            if known.quantizes:
                compress_weights(pipeline, known.weights)
            model = _convert(
                ct,
                exported,
                marks | _marks_of_outputs(exported, outputs),
                inputs=input_types(ct, inputs, colour_order),
                outputs=[ct.TensorType(s.name, dtype=np.dtype(s.dtype).type) for s in outputs],
                compute_precision=ct.transform.FP16ComputePrecision(fits(wide)) if wide else precision,
                minimum_deployment_target=target,
                pass_pipeline=pipeline,
            )
    model.user_defined_metadata[f"{PREFIX}recipe"] = recipe
    model.user_defined_metadata[f"{PREFIX}marks"] = json.dumps(marks)
    model.user_defined_metadata[f"{PREFIX}modules"] = json.dumps(
        _modules(model, marks, _marks_of_outputs(exported, outputs), _owners(exported))
    )
    # coremltools saves only to names that end in .mlpackage, and `path` need not end so.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".coreml-") as scratch:
        package = Path(scratch) / "model.mlpackage"
        model.save(str(package))
        (package / FOR_A_DEBUGGER).unlink(missing_ok=True)
        if (classes := labelled_output(labels, outputs)) is not None:
            add_labels(ct, package, labels, classes, target)
        package.rename(path)
    notes = ((overflow_note(wide),) if wide else ()) + unlabelled_note(labels, outputs)
    return WrittenPackage(notes + ((NEEDS_IOS17,) if known.is_static else ()), counts)


def _by_name(graph: torch.fx.GraphModule, scheme: Scheme, inputs: Sequence[TensorSpec]) -> dict[str, Grid]:
    """The scheme's grids, by the name of the operation, or of the input in the file."""
    taken = [node.name for node in graph.graph.nodes if node.op == "placeholder"]
    grids = {name: one for name, one in scheme.values.items() if name not in taken}
    pairs = [(spec.name, name) for name, spec in zip(taken, inputs, strict=True) if name in scheme.values]
    return grids | {in_file: scheme.values[name] for in_file, name in pairs}


def _as_taken(tensor: torch.Tensor, spec: TensorSpec) -> torch.Tensor:
    """An example in the type that coremltools computes with: float32 if a picture, int32 if narrow."""
    if is_image(spec):
        return tensor.float()
    return tensor.int() if str(tensor.dtype).endswith(NARROW) else tensor


def _exported(
    ct: Any, graph: torch.fx.GraphModule, example: Sequence[torch.Tensor]
) -> tuple[torch.export.ExportedProgram, dict[str, str]]:
    """The program for coremltools, and the marks of its operations by name; coremltools keeps these names."""
    import torch

    from mocovit_deploy.graph.edit import mark_of, marked

    with _refusals_of(ct):
        exported = written_for(ct, torch.export.export(marked(graph), tuple(example)))
    _with_own_names(exported)
    found = {node.name: mark_of(node) for node in exported.graph.nodes if node.op == "call_function"}
    return exported, {name: mark for name, mark in found.items() if mark}


def _with_own_names(exported: torch.export.ExportedProgram) -> None:
    """Rename the operations that end in a digit, so that no operation of coremltools takes their names.

    coremltools writes a group norm as several operations and calls the second sum `add_1`, even if torch has
    an `add_1` too, whose mark the sum would then get. coremltools gives no names that end in a letter.
    """
    from torch.export.graph_signature import TensorArgument

    renamed = {}
    for node in exported.graph.nodes:
        if node.op == "call_function" and node.name[-1].isdigit():
            before = node.name
            node.name = renamed[before] = f"{before}{OF_TORCH}"
    for spec in exported.graph_signature.output_specs:
        if isinstance(spec.arg, TensorArgument):
            spec.arg.name = renamed.get(spec.arg.name, spec.arg.name)


def _modules(
    model: Any, marks: Mapping[str, str], outputs: Mapping[str, str], owners: Mapping[str, str]
) -> dict[str, str]:
    """The torch module of each operation without a mark, by the name of its first result.

    `outputs` holds the marks of the outputs, whose values coremltools renames, `owners` the modules of
    parameters.
    """
    steps, known = [], {name: split_mark(text)[0] for name, text in outputs.items()}
    for operation in model._mil_program.functions["main"].operations:
        if operation.op_type == "const":
            continue
        makes = [value.name for value in operation.outputs]
        reads = [value.name for values in operation.inputs.values() for value in _each(values)]
        steps.append((reads, makes))
        for name in makes:
            if text := marks.get(name) or marks.get(name.removesuffix(IN_HALF)):
                known[name] = split_mark(text)[0]
    values = {value for reads, _ in steps for value in reads}
    owned = {
        value: owners[name] for value in values if (name := value.removesuffix(STORED_IN_HALF)) in owners
    }
    modules = zip(steps, modules_of(steps, known, owned), strict=True)
    return {makes[0]: module for (_, makes), module in modules if makes[0] not in marks}


def _marks_of_outputs(
    exported: torch.export.ExportedProgram, outputs: Sequence[TensorSpec]
) -> dict[str, str]:
    from mocovit_deploy.graph.edit import mark_of

    returned: Any = exported.graph.output_node().args[0]
    pairs = zip(outputs, returned, strict=True)
    return {spec.name: mark_of(node) for spec, node in pairs if node.op == "call_function"}


def _owners(exported: torch.export.ExportedProgram) -> dict[str, str]:
    """The torch module of each parameter, by the name that coremltools gives it."""
    names = exported.graph_signature.inputs_to_parameters.items()
    return {value: parameter.rpartition(".")[0] for value, parameter in names if "." in parameter}


def _each(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _wide(exported: torch.export.ExportedProgram, example: Sequence[torch.Tensor]) -> dict[str, float]:
    from mocovit_deploy.graph.fp16_range import wide_values

    return wide_values(exported.module(check_guards=False), example)


def _convert(ct: Any, exported: torch.export.ExportedProgram, marks: dict[str, str], **options: Any) -> Any:
    with _refusals_of(ct, marks | {f"{name}{IN_HALF}": mark for name, mark in marks.items()}):
        return ct.convert(exported, convert_to="mlprogram", skip_model_load=True, **options)


@contextlib.contextmanager
def _refusals_of(ct: Any, marks: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Turn any exception of the block, from coremltools or torch, into a `ConversionError`."""
    from mocovit_deploy.graph.stopped import stopped_at

    try:
        with quiet_coremltools(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        reason = textwrap.shorten(str(error), 300, placeholder=" ...") or type(error).__name__
        where = stopped_at(error, marks)
        raise ConversionError(f"coremltools {ct.__version__} cannot convert {where}: {reason}") from error
