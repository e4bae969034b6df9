"""From a captured graph to an ONNX file: torch's exporter, onnxsim, onnx.checker."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exporters.onnx.metadata import MODULE_KEY, OPERATION_KEY
from exporters.onnx.pools import refuse_pools_after_wide_pads
from exporters.onnx.run import import_onnxruntime
from mocovit_deploy.artifacts.marks import marks_in, modules_of, split_mark
from mocovit_deploy.errors import ConversionError, UsageError, first_line
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.formats import ExportJob, Written
from mocovit_deploy.quantization.recipes import recipe_named
from mocovit_deploy.spec import ExportRequest

if TYPE_CHECKING:
    from torch import Tensor, fx

    from mocovit_deploy.quantization.scheme import Scheme

SLOW_IN_HALF = (
    "an fp16 ONNX file is half the size, and slower than fp32 on ARM CPUs with ONNX Runtime: it is for "
    "accelerators (figures of mocovit_1_0: docs/decisions/0005-fp16.md; yours: mocovit-bench)"
)
NATIVE_OPSET = 18
"""The opset that torch's exporter writes; onnx.version_converter makes lower ones from it."""
OLDEST_OPSET = 14
"""The lowest opset to which onnx.version_converter takes a Relu from opset 18."""


def export(graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob) -> Written:
    """Write `graph` as an ONNX file with static shapes, or with a free batch.

    Raises `ConversionError` if torch's exporter cannot take the graph, if the opset cannot be reached, or if
    onnx.checker refuses the file; `MissingToolError` if the extra is not installed.
    """
    onnx = needs_extra("onnx", "onnx")
    needs_extra("onnxscript", "onnx")
    from mocovit_deploy.graph.edit import marked

    model = _convert(marked(graph), example, job)
    marks = {output: _mark(node) for node in model.graph.node for output in node.output}
    model = _converted_down(model, job.opset)
    if job.simplify:
        model = _simplify(model)
    if job.recipe == "fp16":
        model = _in_half(model)
    said = None if job.scheme is None else _quantized(model, graph, job, job.scheme, marks)
    _name_modules(model, {output: text for output, text in marks.items() if text})
    refuse_pools_after_wide_pads(model, MODULE_KEY)
    model.producer_name = "mocovit-deploy"
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        reason = first_line(error)
        where = _named_in(reason, model)
        raise ConversionError(
            f"onnx.checker refuses {where} as made in opset {job.opset}: {reason}"
        ) from error
    job.path.write_bytes(model.SerializeToString(deterministic=True))
    notes = (SLOW_IN_HALF, *_warning(graph, example)) if job.recipe == "fp16" else ()
    return Written(inputs=job.inputs, outputs=job.outputs, tools=_versions(), notes=notes, quantization=said)


def _quantized(
    model: Any, graph: fx.GraphModule, job: ExportJob, scheme: Scheme, marks: Mapping[str, str]
) -> dict[str, Any]:
    """Quantize the model in place. Returns the manifest's entry about it."""
    from exporters.onnx.quantize import quantize

    recipe = recipe_named(job.recipe)
    placeholders = [node.name for node in graph.graph.nodes if node.op == "placeholder"]
    inputs = {spec.name: name for spec, name in zip(job.inputs, placeholders, strict=True)}
    known = {output: text for output, text in marks.items() if text}
    counts = quantize(model, scheme, known, inputs, weights_only=not recipe.is_static)
    return {"recipe": recipe.meaning, **scheme.as_json(), "operators": counts}


def refuse_impossible(request: ExportRequest) -> None:
    """`UsageError` for an opset below `OLDEST_OPSET`, or above the newest that onnx knows."""
    if OLDEST_OPSET <= request.opset <= NATIVE_OPSET:
        return
    onnx = needs_extra("onnx", "onnx")
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= request.opset <= newest:
        raise UsageError(
            f"--opset {request.opset}: onnx {onnx.__version__} writes {OLDEST_OPSET} to {newest}"
        )


def _warning(graph: fx.GraphModule, example: Sequence[Tensor]) -> tuple[str, ...]:
    from mocovit_deploy.graph.fp16_range import warning, wide_values

    return warning(wide_values(graph, example))


def _convert(graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob) -> Any:
    import torch

    batch = torch.export.Dim("batch", min=1)
    try:
        program = torch.onnx.export(
            graph,
            tuple(example),
            dynamo=True,
            opset_version=max(job.opset, NATIVE_OPSET),
            input_names=[tensor.name for tensor in job.inputs],
            output_names=[tensor.name for tensor in job.outputs],
            dynamic_shapes=tuple({0: batch} for _ in example) if job.dynamic_batch else None,
            verbose=False,
        )
    except Exception as error:
        from mocovit_deploy.graph.stopped import stopped_at

        reason = first_line(error)
        raise ConversionError(f"torch.onnx.export cannot write {stopped_at(error)}: {reason}") from error
    assert program is not None
    return program.model_proto


def _converted_down(model: Any, opset: int) -> Any:
    """The model in `opset`.

    Raises `ConversionError` if it has no form there. onnx.version_converter may also give up without an
    error and leave the opset as it was, so the result is checked.
    """
    from onnx import version_converter

    if opset < NATIVE_OPSET:
        try:
            model = version_converter.convert_version(model, opset)
        except Exception as error:
            reason = first_line(error)
            raise ConversionError(f"this network has no form in ONNX opset {opset}: {reason}") from error
        _without_leftovers(model)
    written = next(imported.version for imported in model.opset_import if imported.domain == "")
    if written != opset:
        raise ConversionError(f"this network has no form in ONNX opset {opset}, only in {written}")
    return model


def _without_leftovers(model: Any) -> None:
    """Drop the attribute that onnx.version_converter should drop from reductions between opsets 18 and 17."""
    for node in model.graph.node:
        if node.op_type.startswith("Reduce"):
            kept = [attribute for attribute in node.attribute if attribute.name != "noop_with_empty_axes"]
            del node.attribute[:]
            node.attribute.extend(kept)


def _simplify(model: Any) -> Any:
    onnxsim = needs_extra("onnxsim", "onnx")
    simplified, valid = onnxsim.simplify(model)
    if not valid:
        raise ConversionError("onnxsim changed what the file computes; leave it out with --no-simplify")
    return simplified


def _in_half(model: Any) -> Any:
    """Weights and values in fp16, inputs and outputs in fp32, by ONNX Runtime's own converter.

    Three kinds of layer stay in fp32, with a cast before and after:

    - LayerNorm: its sum of squares can leave the range of fp16, as does that of 1280 numbers with a deviation
      of 7.2 in timm's efficientvit_b0;
    - grouped convolutions, unless each group has one channel in and one out: ONNX Runtime 1.31.1 computes
      them wrongly in fp16 on ARM cores, by 0.5 to 1.2 of the output's range;
    - operators that ONNX defines for fp32 but not for fp16, such as Celu.
    """
    float16 = import_onnxruntime("onnxruntime.transformers.float16")
    wrapper = import_onnxruntime("onnxruntime.transformers.onnx_model")
    kinds = [*float16.DEFAULT_OP_BLOCK_LIST, "LayerNormalization", *_only_in_single(model)]
    layers = _grouped(model)
    half = wrapper.OnnxModel(
        float16.convert_float_to_float16(
            model, keep_io_types=True, op_block_list=kinds, node_block_list=layers
        )
    )
    half.topological_sort()  # the converter appends all casts at the end
    return half.model


def _only_in_single(model: Any) -> list[str]:
    """The kinds of operators in a model that its opset defines for fp32 and not for fp16."""
    onnx = needs_extra("onnx", "onnx")
    opset = next(imported.version for imported in model.opset_import if imported.domain == "")
    found = []
    for kind in {node.op_type for node in model.graph.node if node.domain == ""}:
        allowed = [one.allowed_type_strs for one in onnx.defs.get_schema(kind, opset).type_constraints]
        if any("tensor(float)" in types and "tensor(float16)" not in types for types in allowed):
            found.append(kind)
    return sorted(found)


def _grouped(model: Any) -> list[str]:
    """Names of the convolutions with several groups of more than one channel in or out."""
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        groups = next((one.i for one in node.attribute if one.name == "group"), 1)
        if node.op_type == "Conv" and groups > 1 and shapes.get(node.input[1], [0, 0])[:2] != [groups, 1]:
            found.append(node.name)
    return found


def _name_modules(model: Any, marks: Mapping[str, str]) -> None:
    """Write the torch module, and the graph's operation if there is one, into every node's metadata."""
    nodes = model.graph.node
    known = {value: split_mark(text)[0] for value, text in marks.items()}
    parameters = [tensor.name for tensor in model.graph.initializer if "." in tensor.name]
    owners = {name: name.rpartition(".")[0] for name in parameters}
    modules = modules_of([(node.input, node.output) for node in nodes], known, owners)
    merged = _merged_layers(nodes, modules, marks)
    for node, module in zip(nodes, modules, strict=True):
        del node.metadata_props[:]
        node.metadata_props.add(key=MODULE_KEY, value=module)
        text = next((marks[output] for output in node.output if output in marks), merged.get(node.output[0]))
        if text:
            node.metadata_props.add(key=OPERATION_KEY, value=split_mark(text)[1])


def _merged_layers(nodes: Sequence[Any], modules: Sequence[str], marks: Mapping[str, str]) -> dict[str, str]:
    """The marks of linear layers that onnxsim made one node of, by the new value.

        before   x (2, 4, C) - MatMul - Add - y       after   x - Reshape - Gemm - _v_9 - Reshape - y

    A Gemm without a mark has that of its module's operation whose values are gone, if there is one alone.
    """
    left = {output for node in nodes for output in node.output}
    gone: dict[str, set[str]] = {}
    for value, text in marks.items():
        if value not in left:
            gone.setdefault(split_mark(text)[0], set()).add(text)
    gone = {module: texts - {marks.get(value) for value in left} for module, texts in gone.items()}
    new: dict[str, list[str]] = {}
    for node, module in zip(nodes, modules, strict=True):
        if node.op_type == "Gemm" and node.output[0] not in marks:
            new.setdefault(module, []).append(node.output[0])
    return {
        value: text
        for module, values in new.items()
        if len(values) == len(gone.get(module, ())) == 1
        for value, text in zip(values, gone[module], strict=True)
    }


def _named_in(reason: str, model: Any) -> str:
    """The module and the operator of the node that onnx.checker names, or "the graph"."""
    named = re.search(r"node name: ([^):]+)", reason)
    node = next((one for one in model.graph.node if named and one.name == named[1]), None)
    if node is None:
        return "the graph"
    module = next((entry.value for entry in node.metadata_props if entry.key == MODULE_KEY), "")
    return f"{module or 'the network'} ({node.op_type})"


def _mark(node: Any) -> str:
    """The mark of a node, found among the module types that torch's exporter recorded."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.class_hierarchy":
            return next((mark for one in ast.literal_eval(entry.value) for mark in marks_in(one)), "")
    return ""


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("torch", "onnx", "onnxscript", "onnxsim")}
