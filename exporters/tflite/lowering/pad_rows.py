"""Pad an NHWC image row by row, where TFLite's SAME does not have the padding of a convolution.

    before   x (N, H, W, C) - PAD - Conv, VALID                                  a copy for each pixel
    after    x (N, H, W, C) - RESHAPE (N, H, W C) - PAD - RESHAPE - Conv, VALID  a copy for each row

PyTorch pads a convolution of stride 2 before and after, TFLite's SAME only after. Such a layer needs a PAD.
XNNPACK fuses the PAD into the convolution in fp32; in fp16 only older runtimes do. The graph stays the same:
the pass sets `pad_rows` in the `meta` of the convolution, for the writer.

Shapes    x (N, C, H, W); y unchanged
Refuses   convolutions whose padding is VALID or SAME
Exact     yes, bit for bit
Source    XNNPACK's constant pad copies the innermost dimension at a time
"""

from __future__ import annotations

from torch import fx

from exporters.tflite.direct.convolution import mode_for, needed
from mocovit_deploy.graph.edit import (
    argument,
    aten,
    module_path,
    shape_of,
)
from mocovit_deploy.passes.at_each import at_each
from mocovit_deploy.passes.result import Change, PassResult


def pad_rows(graph: fx.GraphModule) -> PassResult:
    """Return a new graph whose convolutions are marked where the writer should pad row by row."""
    return at_each(graph, (aten.conv2d.default,), _mark_at)


def _mark_at(graph: fx.GraphModule, layer: fx.Node) -> Change | None:
    if layer.meta.get("pad_rows") or not _pads_by_itself(layer):
        return None
    layer.meta["pad_rows"] = True
    return Change(module_path(layer), "padded row by row")


def _pads_by_itself(layer: fx.Node) -> bool:
    """True if TFLite needs a PAD before this convolution."""
    size, out = shape_of(argument(layer, "input"))[-2:], shape_of(layer)[-2:]
    kernel = shape_of(argument(layer, "weight"))[-2:]
    strides, pads, dilations = (_both(argument(layer, n)) for n in ("stride", "padding", "dilation"))
    extents = [dilations[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
    need = needed(size, extents, strides, [(one, one) for one in pads], out)
    return not mode_for(size, extents, strides, need, out)


def _both(numbers: list[int]) -> tuple[int, int]:
    return (numbers[0], numbers[-1])
