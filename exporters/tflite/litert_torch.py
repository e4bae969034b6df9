"""From a captured graph to a TFLite file, through litert-torch: the fallback, and the independent oracle."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.formats import ExportJob
from mocovit_deploy.spec import TensorSpec

if TYPE_CHECKING:
    from torch import Tensor, fx


def convert_float(
    graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob, inputs: tuple[TensorSpec, ...]
) -> bytes:
    """The fp32 file of `graph`, with the given inputs, which may be NHWC, and `job.outputs`.

    Raises `ConversionError` where litert-torch cannot take the graph; `MissingToolError` where it is not
    installed (there are wheels for Linux x86-64 and macOS).
    """
    litert_torch = needs_extra("litert_torch", "tflite")
    arguments = {
        spec.name: tensor.movedim(-3, -1).contiguous() if spec.layout == "nhwc" else tensor
        for spec, tensor in zip(inputs, example, strict=True)
    }
    from mocovit_deploy.graph.edit import marked
    from mocovit_deploy.graph.stopped import stopped_at

    named = with_interface(marked(graph), inputs, job.outputs)
    scratch = job.path.with_name(job.path.name + ".converted")
    try:
        with _one_retrace_less():
            litert_torch.convert(named, sample_kwargs=arguments).export(str(scratch))
        return scratch.read_bytes()
    except Exception as error:
        reason = first_line(error)
        raise ConversionError(f"litert-torch cannot write {stopped_at(error)}: {reason}") from error
    finally:
        Path(scratch).unlink(missing_ok=True)


def with_interface(
    graph: fx.GraphModule, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> fx.GraphModule:
    """The same graph with named inputs, NHWC where their specs say so, and a dictionary of outputs.

        before   x (N, C, H, W) - ... - (y,)
        after    image (N, H, W, C) - permute - ... - {"logits": y}

    litert-torch takes its signature from these names. The graph stays the root module, because
    torch.export keeps the module paths of a root's nodes, and drops those of a module inside another.
    """
    import torch
    from torch import fx

    renamed, values = fx.Graph(), {}
    specs = iter(inputs)
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            spec = next(specs)
            values[node] = renamed.placeholder(spec.name)
            if spec.layout == "nhwc":
                values[node] = renamed.call_function(
                    torch.ops.aten.permute.default, (values[node], [0, 3, 1, 2])
                )
        elif node.op == "output":
            leaves = torch.utils._pytree.tree_leaves(node.args[0])
            results = {spec.name: values[leaf] for spec, leaf in zip(outputs, leaves, strict=True)}
            renamed.output(results)
        else:
            values[node] = renamed.node_copy(node, lambda old: values[old])
    return fx.GraphModule(graph, renamed).eval()


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
