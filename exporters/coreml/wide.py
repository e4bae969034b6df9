"""What of a network does not fit into half precision, and stays in float32 in an fp16 file.

    fp16 ends at 65504; a value beyond it becomes infinity, and infinity / infinity NaN

Convolutions with BatchNorm stay far below. Products of unnormalised tensors need not: the linear attention of
timm's `efficientvit_b0` (random weights) reaches 2.4e6 on noise and 4.7e4 on a photograph, and the network's
own code therefore computes it in float32 under mixed precision. Values are measured on the tensors a network
is traced with; parity judges the file on others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LARGEST_HALF = 65504.0
ROOM = 16.0
"""Other inputs may give values so many times larger than the ones measured on."""


def wide_values(program: torch.export.ExportedProgram, example: Sequence[torch.Tensor]) -> dict[str, float]:
    """Largest magnitude, by name, of every float value that is not `ROOM` times below fp16's end."""
    import torch

    found: dict[str, float] = {}

    class Measure(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            result = super().run_node(n)
            if n.op == "call_function" and isinstance(result, torch.Tensor) and result.is_floating_point():
                largest = float(result.abs().max()) if result.numel() else 0.0
                if not largest * ROOM <= LARGEST_HALF:
                    found[n.name] = largest
            return result

    module = program.module(check_guards=False)
    assert isinstance(module, torch.fx.GraphModule)
    with torch.no_grad():
        Measure(module).run(*example)
    return found


def fits(wide: Mapping[str, float]) -> Callable[[Any], bool]:
    """coremltools' selector: may this MIL operation be computed in fp16? Its operands count as well."""

    def selected(operation: Any) -> bool:
        operands = [
            v for value in operation.inputs.values() for v in (value if _several(value) else (value,))
        ]
        return not any(value.name in wide for value in (*operation.outputs, *operands))

    return selected


def note(wide: Mapping[str, float]) -> str:
    """What whoever uses the file should know of it."""
    return (
        f"{len(wide)} values stay in fp32: they reach {max(wide.values()):.1e}, and fp16 ends at "
        f"{LARGEST_HALF:.0f}"
    )


def _several(value: Any) -> bool:
    return isinstance(value, list | tuple)
