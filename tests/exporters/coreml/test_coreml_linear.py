from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("lead", [(1,), (3,), (2, 5)], ids=str)
def test_linear(lead, bias, agree, draw):
    weight, offset = draw((4, 6)), draw((4,))
    agree(
        [draw((*lead, 6))],
        lambda mb, const, x: mb.linear(
            x=x, weight=const(weight), **({"bias": const(offset)} if bias else {})
        ),
        lambda const, x: F.linear(x, const(weight), const(offset) if bias else None),
    )


MATMULS = {
    "matrices": ((3, 4), (4, 5)),
    "batched": ((2, 3, 4), (2, 4, 5)),
    "broadcast": ((2, 1, 3, 4), (5, 4, 6)),
}


@pytest.mark.parametrize("shapes", MATMULS.values(), ids=MATMULS)
def test_matmul(shapes, agree, draw):
    agree(
        [draw(shapes[0]), draw(shapes[1])],
        lambda mb, const, x, y: mb.matmul(x=x, y=y),
        lambda const, x, y: x @ y,
    )


@pytest.mark.parametrize("transpose_y", [False, True])
@pytest.mark.parametrize("transpose_x", [False, True])
def test_matmul_transposes(transpose_x, transpose_y, agree, draw):
    x = draw((2, 4, 3) if transpose_x else (2, 3, 4))
    y = draw((2, 5, 4) if transpose_y else (2, 4, 5))
    agree(
        [x, y],
        lambda mb, const, x, y: mb.matmul(x=x, y=y, transpose_x=transpose_x, transpose_y=transpose_y),
        lambda const, x, y: (x.mT if transpose_x else x) @ (y.mT if transpose_y else y),
    )


@pytest.mark.parametrize("equation", ["nchw,nwhu->nchu", "chw,whu->chu"])
def test_einsum(equation, agree, draw):
    sizes = {"n": 2, "c": 3, "h": 4, "w": 5, "u": 6}
    x, y = (draw([sizes[letter] for letter in term]) for term in equation.split("->")[0].split(","))
    agree(
        [x, y],
        lambda mb, const, x, y: mb.einsum(values=[x, y], equation=equation),
        lambda const, x, y: torch.einsum(equation, x, y),
    )


@pytest.mark.parametrize("mask", ["none", "additive", "boolean"])
def test_scaled_dot_product_attention(mask, agree, draw):
    q, k, v = draw((2, 3, 4, 8)), draw((2, 3, 5, 8)), draw((2, 3, 5, 6))
    added = draw((4, 5))
    kept = np.tri(4, 5, dtype=bool)

    def build(mb, const, q, k, v):
        extra = {"none": {}, "additive": {"attn_mask": const(added)}, "boolean": {"attn_mask": kept}}[mask]
        return mb.scaled_dot_product_attention(query=q, key=k, value=v, **extra)

    def expected(const, q, k, v):
        given = {"none": None, "additive": const(added), "boolean": torch.from_numpy(kept)}[mask]
        return F.scaled_dot_product_attention(q, k, v, attn_mask=given)

    agree([q, k, v], build, expected, target="iOS18")
