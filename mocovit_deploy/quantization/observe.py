"""Statistics of every value of a graph on calibration inputs: extremes, a histogram, means of channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, fx

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.graph.edit import CONVOLUTIONS, LINEARS, argument, visit
from mocovit_deploy.quantization.calibration_set import CalibrationSet

BINS = 1024
DRAWN_PER_RUN = 512
"""How many numbers of a value are drawn in each run for its histogram; 128 runs give 65 536."""


@dataclass(frozen=True)
class Observed:
    """The statistics of one value of the graph over all calibration runs."""

    lows: Array
    """The smallest number of each run, (runs,)."""
    highs: Array
    """The largest number of each run, (runs,)."""
    counts: Array
    """A histogram of drawn numbers, (BINS,), over the whole range from the smallest to the largest."""
    channel_means: Array | None
    """The mean of each channel (C,), if a layer with weights reads this value; else None."""

    @property
    def low(self) -> float:
        """The smallest number of all runs."""
        return float(self.lows.min())

    @property
    def high(self) -> float:
        """The largest number of all runs."""
        return float(self.highs.max())

    @property
    def centres(self) -> Array:
        """The numbers in the middle of the histogram's bins, (BINS,)."""
        width = (self.high - self.low) / BINS
        return self.low + width * (np.arange(BINS) + 0.5)


def observe(
    graph: fx.GraphModule,
    calibration: CalibrationSet,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[str, Observed]:
    """Run `graph` on every calibration input; returns the statistics of its inputs and values by node name.

    Only floating-point values are observed. Extremes are exact; the histogram is of numbers drawn with a
    fixed seed. Values with NaN or infinity have extremes that are not finite.
    """
    placeholders = [node for node in graph.graph.nodes if node.op == "placeholder"]
    channels = channel_axes(graph)
    collected: dict[str, _Collected] = {}
    generator = torch.Generator().manual_seed(0)

    def look(node: fx.Node, value: Tensor) -> None:
        collected.setdefault(node.name, _Collected()).add(value, channels.get(node), generator)

    columns = [calibration.inputs[name] for name in calibration.inputs]
    for run, arrays in enumerate(zip(*columns, strict=True)):
        tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
        for node, tensor in zip(placeholders, tensors, strict=True):
            if tensor.is_floating_point():
                look(node, tensor)
        visit(graph, tensors, look)
        progress(run + 1, len(calibration))
    return {name: one.observed() for name, one in collected.items()}


def channel_axes(graph: fx.GraphModule) -> dict[fx.Node, int]:
    """The nodes that layers with weights read, with the axis of their channels: 1 for images, else -1."""
    axes = {}
    for node in graph.graph.nodes:
        if node.target in CONVOLUTIONS or node.target in LINEARS:
            axes[argument(node, "input")] = 1 if node.target in CONVOLUTIONS else -1
    return axes


class _Collected:
    """A value while it is being observed."""

    def __init__(self) -> None:
        self.lows: list[float] = []
        self.highs: list[float] = []
        self.drawn: list[Array] = []
        self.means: list[Array] = []

    def add(self, value: Tensor, channel_axis: int | None, generator: torch.Generator) -> None:
        low, high = torch.aminmax(value)
        self.lows.append(float(low))
        self.highs.append(float(high))
        flat = value.reshape(-1)
        if flat.numel() > DRAWN_PER_RUN:
            flat = flat[torch.randint(flat.numel(), (DRAWN_PER_RUN,), generator=generator)]
        self.drawn.append(flat.numpy().copy())
        if channel_axis is not None and value.dim() > 1:
            others = [axis for axis in range(value.dim()) if axis != channel_axis % value.dim()]
            self.means.append(value.mean(others).numpy())

    def observed(self) -> Observed:
        lows, highs = np.array(self.lows), np.array(self.highs)
        low, high = float(lows.min()), float(highs.max())
        drawn = np.concatenate(self.drawn)
        finite = drawn[np.isfinite(drawn)]
        bounds = (low, high) if np.isfinite([low, high]).all() and high > low else (low - 1, low + 1)
        counts = (
            np.histogram(finite, BINS, bounds)[0] if np.isfinite(bounds).all() else np.zeros(BINS, np.int64)
        )
        means = np.mean(self.means, axis=0) if self.means else None
        return Observed(lows, highs, counts, means)
