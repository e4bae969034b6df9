"""ATen operations that coremltools misreads or does not know, written in operations that it translates.

The `torch.export` front end of coremltools 9.0 reads positional arguments, and only those keywords that an
operation's translator asks for. It drops the keywords below without a warning: a tanh GELU is written as an
exact one (1.4e-4 of the output's range on timm's efficientvit_l1), `add(x, y, alpha=2)` as x + y.

    add(x, y, alpha=a)         x + a y
    sub(x, y, alpha=a)         x - a y
    rsub(x, y, alpha=a)        y - a x
    gelu(x, approximate="tanh")
        0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))     which coremltools makes one `gelu` again
    addcmul(x, a, b, value=v)  x + v a b
    addcdiv(x, a, b, value=v)  x + v a / b
    log_sigmoid(x)             -softplus(-x)
    pad(x, mode="circular")    each axis: the end of x, then x, then its beginning
    conv_transpose(x, padding=p, output_padding=o)     where o > p: convolve without padding, append zeros,
                               crop, then add the bias

Any other operation without a translator is decomposed by torch's own table, if torch has an entry for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

    Decompositions = dict[torch._ops.OperatorBase, Callable[..., Any]]

MOST_ROUNDS = 4
"""Rounds of torch's decompositions: one round may leave operations that need another."""


def written_for(ct: ModuleType, program: ExportedProgram) -> ExportedProgram:
    """The same program in operations that coremltools translates, as far as torch can decompose the others.

    coremltools itself refuses, by name, an operation that still has no translator.
    """
    program = program.run_decompositions(spelled_out())
    for _ in range(MOST_ROUNDS):
        table = _unknown(ct, program)
        if not table:
            break
        program = program.run_decompositions(table)
    return program


def _unknown(ct: ModuleType, program: ExportedProgram) -> Decompositions:
    """torch's decompositions of the operations in `program` that coremltools has no translator for."""
    from torch._decomp import decomposition_table

    frontend = ct.converters.mil.frontend.torch
    known = frontend.torch_op_registry._TORCH_OPS_REGISTRY
    called = {node.target for node in program.graph.nodes} & decomposition_table.keys()
    kinds = {target: frontend.utils.sanitize_op_kind(target.name()) for target in called}
    return {target: decomposition_table[target] for target in called if known.get_func(kinds[target]) is None}


def spelled_out() -> Decompositions:
    """The table for `ExportedProgram.run_decompositions`.

    Its functions return `NotImplemented` for calls that coremltools translates correctly.
    """
    import torch

    aten = torch.ops.aten
    return {
        aten.add.Tensor: _add,
        aten.sub.Tensor: _sub,
        aten.rsub.Tensor: _rsub,
        aten.rsub.Scalar: _rsub,
        aten.gelu.default: _gelu,
        aten.addcmul.default: _addcmul,
        aten.addcdiv.default: _addcdiv,
        aten.log_sigmoid.default: _log_sigmoid,
        aten.pad.default: _pad,
        aten.conv_transpose1d.default: _conv_transpose,
        aten.conv_transpose2d.input: _conv_transpose,
        aten.conv_transpose3d.input: _conv_transpose,
    }


def _add(x: Any, y: Any, *, alpha: float = 1) -> Any:
    return NotImplemented if alpha == 1 else x + y * alpha


def _sub(x: Any, y: Any, *, alpha: float = 1) -> Any:
    return NotImplemented if alpha == 1 else x - y * alpha


def _rsub(x: Any, y: Any, alpha: float = 1) -> Any:
    return NotImplemented if alpha == 1 else y - x * alpha


def _gelu(x: Any, *, approximate: str = "none") -> Any:
    if approximate != "tanh":
        return NotImplemented
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + inner.tanh())


def _addcmul(x: Any, a: Any, b: Any, *, value: float = 1) -> Any:
    return x + (a * b if value == 1 else a * b * value)


def _addcdiv(x: Any, a: Any, b: Any, *, value: float = 1) -> Any:
    return x + (a / b if value == 1 else a / b * value)


def _log_sigmoid(x: Any) -> Any:
    from torch.nn.functional import softplus

    return -softplus(-x)


def _pad(x: Any, pad: Sequence[int], mode: str = "constant", _value: float | None = None) -> Any:
    if mode != "circular":
        return NotImplemented
    import torch

    for place in range(0, len(pad), 2):
        axis, (before, after) = x.dim() - 1 - place // 2, pad[place : place + 2]
        size = x.shape[axis]
        x = torch.cat([x.narrow(axis, size - before, before), x, x.narrow(axis, 0, after)], axis)
    return x


def _conv_transpose(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Any:
    """coremltools crops by `padding - output_padding`. Where that is negative it pads the input instead, and
    in three dimensions it takes no `output_padding`."""
    spatial = weight.dim() - 2
    before = [*padding] * (spatial // len(padding))
    extra = [*output_padding] * (spatial // len(output_padding))
    taken = spatial < 3 and all(more <= less for more, less in zip(extra, before, strict=True))
    if taken or not any(extra):
        return NotImplemented
    from torch.nn import functional

    convolution = getattr(functional, f"conv_transpose{spatial}d")
    whole = convolution(x, weight, None, stride, 0, 0, groups, dilation)
    for axis, (less, more) in enumerate(zip(before, extra, strict=True), start=2):
        size = whole.shape[axis] - 2 * less + more
        missing = max(more - less, 0)
        if missing:
            pad = [0] * (2 * (whole.dim() - 1 - axis)) + [0, missing]
            whole = functional.pad(whole, pad)
        whole = whole.narrow(axis, less, size)
    return whole if bias is None else whole + bias.reshape(-1, *[1] * spatial)
