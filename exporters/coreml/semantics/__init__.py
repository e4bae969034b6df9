"""What MIL operations compute, in numpy.

A function takes an operation's operands under MIL's own parameter names and returns its result, or a sequence
of results. Floats arrive and leave as float32; `execute` rounds to the types of the file. No function changes
what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from exporters.coreml.semantics import (
    activation,
    convolution,
    elementwise,
    linear,
    normalization,
    pooling,
    quantization,
    reduction,
    resize,
    shape,
)

SEMANTICS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    dict(
        (
            *activation.OPERATIONS,
            *convolution.OPERATIONS,
            *elementwise.OPERATIONS,
            *linear.OPERATIONS,
            *normalization.OPERATIONS,
            *pooling.OPERATIONS,
            *quantization.OPERATIONS,
            *reduction.OPERATIONS,
            *resize.OPERATIONS,
            *shape.OPERATIONS,
        )
    )
)
"""From the name of a MIL operation to what it computes."""

Refuse = Callable[[Mapping[str, Any], Mapping[str, tuple[int | None, ...]]], str | None]

REFUSALS: Mapping[str, Refuse] = MappingProxyType(dict(resize.REFUSALS))
"""From the name of a MIL operation to why one cannot be computed, or None; decided before anything runs.

Called with the operands that are constants, and the declared shapes of those that are not.
"""
