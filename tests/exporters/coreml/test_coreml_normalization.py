from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

AFFINE = pytest.mark.parametrize("affine", [(), ("gamma",), ("gamma", "beta")], ids=["bare", "gamma", "both"])


def chosen(affine, const, gamma, beta):
    return {name: const(value) for name, value in (("gamma", gamma), ("beta", beta)) if name in affine}


@AFFINE
@pytest.mark.parametrize("epsilon", [1e-5, 0.125])
@pytest.mark.parametrize("space", [(4, 5), (6,), (2, 3, 4)], ids=str)
def test_batch_norm(space, epsilon, affine, agree, draw):
    mean, variance, gamma, beta = draw((3,)), draw((3,), 0.25, 4), draw((3,), 0.5, 1.5), draw((3,))

    def expected(const, x):
        named = chosen(affine, const, gamma, beta)
        eps = const(epsilon).item()
        return F.batch_norm(x, const(mean), const(variance), named.get("gamma"), named.get("beta"), eps=eps)

    agree(
        [draw((2, 3, *space))],
        lambda mb, const, x: mb.batch_norm(
            x=x,
            mean=const(mean),
            variance=const(variance),
            epsilon=const(epsilon),
            **chosen(affine, const, gamma, beta),
        ),
        expected,
    )


@AFFINE
@pytest.mark.parametrize("epsilon", [1e-5, 0.125])
@pytest.mark.parametrize("axes", [(-1,), (2, 3), (3, 2), (1, 2, 3)], ids=str)
def test_layer_norm(axes, epsilon, affine, agree, draw):
    x = draw((2, 3, 4, 5), -2, 3)
    shape = tuple(x.shape[axis] for axis in sorted(axis % 4 for axis in axes))
    gamma, beta = draw(shape, 0.5, 1.5), draw(shape)

    def expected(const, x):
        named = chosen(affine, const, gamma, beta)
        eps = const(epsilon).item()
        return F.layer_norm(x, shape, named.get("gamma"), named.get("beta"), eps)

    agree(
        [x],
        lambda mb, const, x: mb.layer_norm(
            x=x, axes=axes, epsilon=const(epsilon), **chosen(affine, const, gamma, beta)
        ),
        expected,
    )


def test_layer_norm_over_an_axis_that_is_not_the_last(agree, draw):
    gamma, beta = draw((3,), 0.5, 1.5), draw((3,))

    def expected(const, x):
        last = x.movedim(1, -1)
        return F.layer_norm(last, (3,), const(gamma), const(beta), 1e-3).movedim(-1, 1)

    agree(
        [draw((2, 3, 4, 5))],
        lambda mb, const, x: mb.layer_norm(
            x=x, axes=[1], gamma=const(gamma), beta=const(beta), epsilon=const(1e-3)
        ),
        expected,
    )


@AFFINE
@pytest.mark.parametrize("space", [(4, 5), (6,)], ids=str)
def test_instance_norm(space, affine, agree, draw):
    gamma, beta = draw((3,), 0.5, 1.5), draw((3,))

    def expected(const, x):
        named = chosen(affine, const, gamma, beta)
        return F.instance_norm(x, weight=named.get("gamma"), bias=named.get("beta"), eps=const(1e-3).item())

    agree(
        [draw((2, 3, *space))],
        lambda mb, const, x: mb.instance_norm(x=x, epsilon=const(1e-3), **chosen(affine, const, gamma, beta)),
        expected,
    )


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5)], ids=str)
def test_l2_norm(shape, agree, draw):
    agree(
        [draw(shape)],
        lambda mb, const, x: mb.l2_norm(x=x, epsilon=const(0.125)),
        lambda const, x: x / torch.sqrt(x.square().sum((-3, -2, -1), keepdim=True) + 0.125),
    )
