"""Concatenation.

ATen       cat, concat, stack
TFLite     CONCATENATION, of at most five at a time
XNNPACK    takes two to five inputs, in fp32, fp16 and int8

All values take the layout of the first computed one, in which the concatenated dimension stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from exporters.tflite.direct.arithmetic import meet
from exporters.tflite.direct.axes import Value, axes_of, sizes
from exporters.tflite.direct.views import unsqueezed
from exporters.tflite.direct.writer import Operations, Writer, aten

MOST_INPUTS = 5


def cat(w: Writer, values: Sequence[Value], dim: int = 0) -> Value:
    used = [one for one in values if np.prod(one.shape)]
    return concatenated(w, used, dim % used[0].rank)


def stack(w: Writer, values: Sequence[Value], dim: int = 0) -> Value:
    dim %= values[0].rank + 1
    return concatenated(w, [unsqueezed(one, dim) for one in values], dim)


def concatenated(w: Writer, values: Sequence[Value], dim: int) -> Value:
    """The values joined along `dim`, which is counted from the front. Types are promoted as by numpy."""
    values = list(values)
    while len(values) > MOST_INPUTS:
        values = [concatenated(w, values[:MOST_INPUTS], dim), *values[MOST_INPUTS:]]
    if len(values) == 1:
        return values[0]
    if len({one.dtype for one in values}) > 1:
        dtype = np.result_type(*(one.dtype for one in values))
        values = [w.cast(one, dtype) for one in values]
    values = [_solid(w, one) for one in values]
    lead = next((i for i, one in enumerate(values) if one.array is None), 0)
    others = [(i, i) for i in range(values[lead].rank) if i != dim]
    # Each value may split the axes of the lead further; the second round gives all values the final splits.
    for _ in range(2):
        for i, one in enumerate(values):
            if i != lead:
                values[lead], values[i] = meet(w, values[lead], one, others)
    first, place = w.layout.in_one(values[lead], dim)
    tensors = []
    for i, one in enumerate(values):
        dims = tuple(one.logical[dim] if j == place else axes for j, axes in enumerate(first.physical))
        tensors.append(w.layout.tensor(first) if i == lead else w.layout.lay(one, dims))
    total = axes_of([sum(one.shape[dim] for one in values)])[0]
    physical = tuple(total if j == place else axes for j, axes in enumerate(first.physical))
    made = w.file.operator("CONCATENATION", tensors, sizes(physical), first.dtype, axis=place)
    return w.value(made, physical, [total if j == dim else axes for j, axes in enumerate(first.logical)])


def _solid(w: Writer, value: Value) -> Value:
    """The value without broadcast axes; other values may have theirs in other dimensions."""
    return w.layout.straight(value) if value.broadcast else value


OPERATIONS: Operations = {
    aten.cat.default: cat,
    aten.concat.default: cat,
    aten.concatenate.default: cat,
    aten.stack.default: stack,
}
