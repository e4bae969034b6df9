"""From a captured graph to a TFLite file, through litert-torch: the fallback, and the independent oracle.

litert-torch runs in a child process. Its converter is C++ and crashes on some networks (a grouped Conv3d:
SIGSEGV), which would end the export of all other formats too.
"""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.tflite.run import interpreter, probe
from mocovit_deploy.errors import ConversionError, MissingToolError, first_line
from mocovit_deploy.extras import require_extra
from mocovit_deploy.formats import ExportJob
from mocovit_deploy.spec import TensorSpec
from mocovit_deploy.untrusted.sandbox import SandboxLimits, Wording, call_in_child

if TYPE_CHECKING:
    from torch import Tensor, fx

DEADLINE_S = 1800.0
MEMORY_BYTES = 32 << 30
CONVERTING = Wording(
    slow="converting did not end within {seconds:.0f} s and was stopped",
    crash="its converter crashed ({signal})",
    memory="converting needs more than {gib:.0f} GiB of memory",
    advice="replace the operation that it cannot convert by others",
)


def convert_float(
    graph: fx.GraphModule, example: Sequence[Tensor], job: ExportJob, inputs: tuple[TensorSpec, ...]
) -> bytes:
    """The bytes of the fp32 file of `graph`, with `inputs`, which may be NHWC, and `job.outputs`.

    Raises `ConversionError` if litert-torch cannot convert the graph, `MissingToolError` if it is not
    installed (it has wheels for Linux x86-64 and macOS).
    """
    require_extra("litert_torch", "tflite")
    import torch

    from mocovit_deploy.graph.edit import marked
    from mocovit_deploy.graph.stopped import stopped_at

    arguments = {
        spec.name: tensor.movedim(-3, -1).contiguous() if spec.layout == "nhwc" else tensor
        for spec, tensor in zip(inputs, example, strict=True)
    }
    named = with_interface(marked(graph), inputs, job.outputs)
    with tempfile.TemporaryDirectory(prefix=".litert-", dir=job.path.parent) as folder:
        program, made = Path(folder) / "network.pt2", Path(folder) / "network.tflite"
        try:
            torch.export.save(torch.export.export(named, (), arguments), program)
        except Exception as error:
            reason = first_line(error)
            raise ConversionError(f"torch.export cannot write {stopped_at(error)}: {reason}") from error
        call_in_child(
            "exporters.tflite.litert_torch:convert_program",
            {"program": str(program), "made": str(made)},
            SandboxLimits(seconds=DEADLINE_S, memory_bytes=MEMORY_BYTES),
            subject="litert-torch",
            failure=ConversionError,
            verbose=False,
            wording=CONVERTING,
        )
        return made.read_bytes()


def convert_program(program: str, made: str) -> None:
    """In the child process: convert a program of `torch.export.save`, and run the file once if possible.

    litert-torch may write operators that LiteRT does not have, or not for these types. Raises
    `ConversionError` if it cannot convert the network, or if an installed runtime cannot run the file.
    """
    import litert_torch
    import torch

    from mocovit_deploy.graph.stopped import stopped_at

    loaded = torch.export.load(program)
    _, arguments = loaded.example_inputs
    try:
        with _one_retrace_less():
            module = loaded.module(check_guards=False)
            litert_torch.convert(module, sample_kwargs=arguments).export(made)
    except Exception as error:
        where, reason = stopped_at(error), first_line(error)
        raise ConversionError(f"litert-torch cannot write {where}: {reason}") from error
    with contextlib.suppress(MissingToolError):
        interpreter_class, runtime = interpreter()
        try:
            probe(interpreter_class, Path(made).read_bytes())
        except (ValueError, RuntimeError) as error:
            reason = first_line(error)
            raise ConversionError(f"{runtime} cannot run what litert-torch writes: {reason}") from error


def with_interface(
    graph: fx.GraphModule, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]
) -> fx.GraphModule:
    """The same graph with named inputs, NHWC where their specs say so, and a dictionary of outputs.

        before   x (N, C, H, W) - ... - (y,)
        after    image (N, H, W, C) - permute - ... - {"logits": y}

    litert-torch takes the signature from these names. The graph stays the root module, because torch.export
    keeps the module paths of nodes in the root, and drops those of a module inside another.
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

    The lowering after it traces the network again anyway, and the files are the same byte for byte. It saves
    3 s of 11 (docs/decisions/0003-litert-torch-without-canonicalize.md). Parity judges the file either way.
    """
    passes = importlib.import_module("litert_torch._convert.fx_passes")
    result = importlib.import_module("litert_torch.fx_infra.pass_base").ExportedProgramPassResult
    original = passes.CanonicalizePass.call
    passes.CanonicalizePass.call = lambda _self, program: result(program, False)
    try:
        yield
    finally:
        passes.CanonicalizePass.call = original
