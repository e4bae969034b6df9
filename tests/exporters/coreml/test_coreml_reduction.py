from __future__ import annotations

import numpy as np
import pytest
import torch

REDUCTIONS = {
    "reduce_l1_norm": lambda x, axes, keep: x.abs().sum(axes, keepdim=keep),
    "reduce_l2_norm": lambda x, axes, keep: x.square().sum(axes, keepdim=keep).sqrt(),
    "reduce_log_sum": lambda x, axes, keep: x.sum(axes, keepdim=keep).log(),
    "reduce_log_sum_exp": lambda x, axes, keep: x.logsumexp(axes, keepdim=keep),
    "reduce_max": lambda x, axes, keep: x.amax(axes, keepdim=keep),
    "reduce_mean": lambda x, axes, keep: x.mean(axes, keepdim=keep),
    "reduce_min": lambda x, axes, keep: x.amin(axes, keepdim=keep),
    "reduce_sum": lambda x, axes, keep: x.sum(axes, keepdim=keep),
    "reduce_sum_square": lambda x, axes, keep: x.square().sum(axes, keepdim=keep),
}


@pytest.mark.parametrize("keep", [True, False], ids=["keep", "drop"])
@pytest.mark.parametrize("axes", [(1,), (-1,), (2, 3), (-2, -1), (0, 3)], ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(name, axes, keep, agree, draw):
    agree(
        [draw((2, 3, 4, 5), 0.25, 1.5)],
        lambda mb, const, x: getattr(mb, name)(x=x, axes=axes, keep_dims=keep),
        lambda const, x: REDUCTIONS[name](x, axes, keep),
    )


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_without_axes_takes_all(name, agree, draw):
    agree(
        [draw((2, 3, 4), 0.25, 1.5)],
        lambda mb, const, x: getattr(mb, name)(x=x, keep_dims=True),
        lambda const, x: REDUCTIONS[name](x, (0, 1, 2), True),
    )


def test_reduce_prod(agree, draw):
    agree(
        [draw((2, 3, 4), 0.5, 1.5)],
        lambda mb, const, x: mb.reduce_prod(x=x, axes=[1], keep_dims=False),
        lambda const, x: x.prod(1),
    )


def test_log_sum_exp_does_not_overflow(agree):
    agree(
        [np.array([[1000.0, 1001.0], [-1000.0, -1002.0]], np.float32)],
        lambda mb, const, x: mb.reduce_log_sum_exp(x=x, axes=[1], keep_dims=False),
        lambda const, x: x.logsumexp(1),
    )


@pytest.mark.parametrize("keep", [True, False], ids=["keep", "drop"])
@pytest.mark.parametrize("axis", [0, -1])
def test_arguments(axis, keep, agree, draw):
    agree(
        [draw((3, 4, 5))],
        lambda mb, const, x: [
            mb.reduce_argmax(x=x, axis=axis, keep_dims=keep),
            mb.reduce_argmin(x=x, axis=axis, keep_dims=keep),
        ],
        lambda const, x: [x.argmax(axis, keepdim=keep), x.argmin(axis, keepdim=keep)],
    )


def test_a_sum_in_half_is_accumulated_in_float32(save):
    """4096 ones: in float16 the sum would stick at 2048, where 1 is below the step."""
    from exporters.coreml.execute import execute

    x = np.ones((1, 4096), np.float16)
    program = save([x], lambda mb, x: mb.reduce_sum(x=x, axes=[1], keep_dims=True))
    assert execute(program, {"x0": x}, "fp16")[program.outputs[0]].item() == 4096


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
def test_cumsum(exclusive, reverse, agree, draw):
    def expected(const, x):
        along = x.flip(1) if reverse else x
        sums = along.cumsum(1)
        if exclusive:
            sums = torch.cat([torch.zeros_like(sums[:, :1]), sums[:, :-1]], 1)
        return sums.flip(1) if reverse else sums

    agree(
        [draw((2, 5, 3))],
        lambda mb, const, x: mb.cumsum(x=x, axis=1, exclusive=exclusive, reverse=reverse),
        expected,
    )
