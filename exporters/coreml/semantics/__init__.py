"""The semantics of MIL operations, in numpy.

A function takes an operation's operands under MIL's own parameter names and returns its result, or a sequence
of results. Floats are float32 on both sides; `execute` rounds to the types of the file. No function changes
its arguments.
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
"""The function of each MIL operation, by name."""

Refuse = Callable[[Mapping[str, Any], Mapping[str, tuple[int | None, ...]]], str | None]

REFUSALS: Mapping[str, Refuse] = MappingProxyType(dict(resize.REFUSALS))
"""By the name of a MIL operation: a function that returns why an instance cannot be computed, or None.

It is called before anything runs, with the operands that are constants and the declared shapes of the others.
"""
