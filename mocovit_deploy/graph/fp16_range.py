"""Which values of a network do not fit into half precision, measured on the tensors it is traced with.

    fp16 ends at 65504; a value beyond it becomes infinity, and infinity / infinity NaN

Convolutions with BatchNorm stay far below. Products of unnormalised tensors need not: the linear attention of
timm's `efficientvit_b0` (random weights) reaches 2.4e6 on noise and 4.7e4 on a photograph, and the network's
own code therefore computes it in float32 under mixed precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, fx

from mocovit_deploy.graph.edit import visit

LARGEST_HALF = 65504.0
ROOM = 16.0
"""Other inputs may give values so many times larger than the ones measured on."""


def wide_values(graph: fx.GraphModule, example: Sequence[Tensor]) -> dict[str, float]:
    """Largest magnitude, by node name, of every float value that is not `ROOM` times below fp16's end."""
    largest = visit(graph, example, lambda _, value: float(value.abs().max()) if value.numel() else 0.0)
    return {name: magnitude for name, magnitude in largest.items() if not magnitude * ROOM <= LARGEST_HALF}


def warning(wide: Mapping[str, float]) -> tuple[str, ...]:
    """What a user of a file computed entirely in fp16 must know; nothing if every value fits."""
    if not wide:
        return ()
    text = (
        f"{len(wide)} values reach up to {max(wide.values()):.1e} and fp16 ends at {LARGEST_HALF:.0f}: where "
        "this file is computed in fp16 it may give infinity or NaN; ship fp32 there"
    )
    return (text,)
