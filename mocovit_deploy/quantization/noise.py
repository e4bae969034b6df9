"""Measure the noise that int8 adds to each value of a graph, for each operation by itself.

    before   y = op(x, W)                         after   y8 = round(op(round(x), round(W)))

noise = sum (y8 - y)^2 / sum (y - mean y)^2 over some calibration inputs, with the grids of the scheme. x is
the float value, so errors of earlier operations are not included. Noise is relative to the median of all
operations: 1 is usual, and 100 is 20 dB worse than usual.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from mocovit_deploy.quantization.calibration_set import CalibrationSet
from mocovit_deploy.quantization.grid import Grid
from mocovit_deploy.quantization.scheme import Scheme

RUNS = 4
"""How many calibration inputs noise is measured on."""
LEAST = 1e-12


def relative_noise(graph: fx.GraphModule, scheme: Scheme, calibration: CalibrationSet) -> dict[str, float]:
    """The noise of every operation whose value has a grid, by node name; 1 is the median."""
    measuring = _Measuring(graph, scheme)
    columns = list(calibration.inputs.values())
    with torch.no_grad():
        for arrays in list(zip(*columns, strict=True))[:RUNS]:
            measuring.run(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
    found = {name: wrong / max(right, LEAST) for name, (wrong, right) in measuring.sums.items()}
    usual = max(float(np.median(list(found.values()))), LEAST) if found else 1.0
    return {name: one / usual for name, one in found.items()}


class _Measuring(fx.Interpreter):
    """Runs the graph in float, and each operation again on rounded values."""

    def __init__(self, graph: fx.GraphModule, scheme: Scheme) -> None:
        super().__init__(graph)
        self.scheme = scheme
        self.sums: dict[str, tuple[float, float]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        grid = self.scheme.values.get(n.name)
        if (
            n.op != "call_function"
            or grid is None
            or not isinstance(value, Tensor)
            or not value.is_floating_point()
        ):
            return value
        arguments, named = fx.map_arg((n.args, n.kwargs), self._rounded)
        found = on_grid(self.call_function(n.target, arguments, named), grid)
        wrong, right = self.sums.get(n.name, (0.0, 0.0))
        wrong += float(((found - value) ** 2).sum())
        self.sums[n.name] = wrong, right + float(((value - value.mean()) ** 2).sum())
        return value

    def _rounded(self, node: fx.Node) -> Any:
        value = self.env[node]
        grids = self.scheme.weights if node.op == "get_attr" else self.scheme.values
        grid = grids.get(str(node.target) if node.op == "get_attr" else node.name)
        return value if grid is None or not isinstance(value, Tensor) else on_grid(value, grid)


def on_grid(value: Tensor, grid: Grid) -> Tensor:
    """`value` rounded to the nearest numbers of a grid."""
    shape = [1] * value.dim()
    if grid.axis is not None:
        shape[grid.axis] = -1
    scale, zero = (torch.tensor(one, dtype=torch.float64) for one in (grid.scale, grid.zero_point))
    scale, zero = (one.to(value.dtype).reshape(shape) for one in (scale, zero))
    limits = np.iinfo(grid.dtype)
    low = -limits.max if grid.is_symmetric else limits.min
    return (torch.clamp(torch.round(value / scale) + zero, low, limits.max) - zero) * scale
