"""Which values of a network do not fit into half precision, measured on the tensors it is traced with.

    fp16 ends at 65504; a larger value becomes infinity, and infinity / infinity is NaN

Convolutions with BatchNorm stay far below that. Products of unnormalised tensors may exceed it: the linear
attention of timm's `efficientvit_b0` (random weights) reaches 2.4e6 on noise and 4.7e4 on a photograph, so
the network's own code computes it in float32 under mixed precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, fx

from mocovit_deploy.graph.edit import visit

LARGEST_HALF = 65504.0
ROOM = 16.0
"""How many times larger the values may become on other inputs."""


def wide_values(graph: fx.GraphModule, example: Sequence[Tensor]) -> dict[str, float]:
    """The largest magnitude, by node name, of every float value that is not `ROOM` times below fp16's end."""
    largest = visit(graph, example, lambda _, value: float(value.abs().max()) if value.numel() else 0.0)
    return {name: magnitude for name, magnitude in largest.items() if not magnitude * ROOM <= LARGEST_HALF}


def warning(wide: Mapping[str, float]) -> tuple[str, ...]:
    """A warning for fp16 files whose values may overflow; empty if no value can."""
    if not wide:
        return ()
    text = (
        f"{len(wide)} values reach up to {max(wide.values()):.1e}, and fp16 ends at {LARGEST_HALF:.0f}: "
        "computed in fp16, this file may return infinity or NaN; ship fp32 for such devices"
    )
    return (text,)
