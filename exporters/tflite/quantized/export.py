"""From a captured graph and its scheme to a quantized TFLite file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exporters.tflite.flatbuffer import model_bytes, read_model
from exporters.tflite.quantized.decide import usual, with_wide_kernels
from exporters.tflite.quantized.grids import tensor_grids, wide_grids
from exporters.tflite.quantized.mix import cheapest_mix
from exporters.tflite.quantized.tables import Tables
from exporters.tflite.quantized.weights import with_stored_weights
from exporters.tflite.quantized.write import quantized
from exporters.tflite.write import Converted, convert
from mocovit_deploy.formats import ExportJob, Written
from mocovit_deploy.quantization.arithmetic import ArithmeticChoice
from mocovit_deploy.quantization.grid import Grid
from mocovit_deploy.quantization.recipes import DYNAMIC, Recipe, recipe_named
from mocovit_deploy.quantization.scheme import Scheme
from mocovit_deploy.spec import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, fx

FOR_NPUS = "the file is for NPUs: XNNPACK takes no int16, so CPUs run it slowly by TFLite's reference kernels"


def export_quantized(
    graph: fx.GraphModule,
    example: Sequence[Tensor],
    job: ExportJob,
    inputs: tuple[TensorSpec, ...],
    scheme: Scheme,
) -> Written:
    """Write the quantized file of `job.recipe`, with these inputs; inputs and outputs stay float32.

    The float file is made first, in the arithmetic of the operators that stay float. Raises the errors of
    `exporters.tflite.write.convert`.
    """
    recipe = recipe_named(job.recipe)
    converted = convert(graph, example, replace(job, recipe=recipe.islands), inputs)
    model = read_model(converted.data)
    if not recipe.is_static:
        stored = with_stored_weights(model, scheme.weights, dynamic=recipe.ranges == DYNAMIC)
        return _written(job, inputs, converted, stored, {})
    tables = Tables(model)
    names = [node.name for node in graph.graph.nodes if node.op == "placeholder"]
    grids = tensor_grids(tables, scheme, names)
    chosen = _chosen(tables, grids, job, recipe)
    if recipe.activations == "int16":
        chosen, grids = with_wide_kernels(tables, chosen), wide_grids(tables, grids)
    made = quantized(model, grids, chosen, scheme)
    said = {**scheme.as_json(), "operators": _counts(tables, chosen)}
    written = _written(job, inputs, converted, made, said)
    return replace(written, notes=(*written.notes, FOR_NPUS)) if recipe.activations == "int16" else written


def _written(
    job: ExportJob, inputs: tuple[TensorSpec, ...], converted: Converted, model: Any, said: dict[str, Any]
) -> Written:
    job.path.write_bytes(model_bytes(model))
    return Written(
        inputs=inputs,
        outputs=job.outputs,
        tools=converted.tools,
        notes=converted.notes,
        quantization={"recipe": recipe_named(job.recipe).meaning, **said},
    )


def _chosen(tables: Tables, grids: Mapping[int, Grid], job: ExportJob, recipe: Recipe) -> set[int]:
    """The operators in int8."""
    if not recipe.is_mixed:
        return usual(tables, grids)
    choice = job.arithmetic or ArithmeticChoice(careful=True)
    return set(cheapest_mix(tables, grids, choice, recipe.islands).int8)


def _counts(tables: Tables, chosen: set[int]) -> dict[str, Any]:
    """The numbers of "int8" and of "float" operators, by kind."""
    kinds = {True: Counter[str](), False: Counter[str]()}
    for operator in tables.operators:
        kinds[operator.index in chosen][operator.kind] += 1
    return {"int8": dict(kinds[True].most_common()), "float": dict(kinds[False].most_common())}
