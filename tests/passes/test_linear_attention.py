"""separate_denominator and bound_linear_attention, with inputs that break the form networks have."""

import pytest
import torch
from networks import Lambda
from rewriting import operations, rewritten
from torch import fx
from torch.nn import functional as F

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import visit
from mocovit_deploy.passes.bound_linear_attention import LARGEST, TINY, bound_linear_attention
from mocovit_deploy.passes.separate_denominator import separate_denominator

HEADS, WIDTH, TOKENS = 2, 4, 36
BOTH = (separate_denominator, bound_linear_attention)


def values(scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, HEADS, 3 * WIDTH, TOKENS, generator=generator) * scale


def attention(self, x, activation=F.relu, ones=1.0, eps=1e-5, width=1):
    q, k, v = x.transpose(-1, -2).chunk(3, -1)
    q, k, v = activation(q), activation(k), F.pad(v, (0, width), value=ones)
    y = q @ (k.transpose(-1, -2) @ v)
    return y[..., :-1] / (y[..., -1:] + eps)


def by_first(y):
    return y[..., 1:] / (y[..., :1] + 1)


def test_a_denominator_of_its_own():
    result = rewritten(Lambda(attention), values(), separate_denominator)
    found = operations(result.graph)
    assert found["pad"] == found["slice"] == 0
    assert found["matmul"] == 3


@pytest.mark.parametrize(
    "forward",
    [
        pytest.param(lambda s, x: attention(s, x, ones=2.0), id="not ones"),
        pytest.param(lambda s, x: attention(s, x, width=2), id="two columns"),
        pytest.param(
            lambda s, x: by_first(x @ F.pad(x.transpose(-1, -2), (0, 1), value=1.0)),
            id="the first column",
        ),
    ],
)
def test_other_quotients_stay(forward):
    assert not rewritten(Lambda(forward), values(), *BOTH).changes


def test_keys_that_may_be_negative_are_not_bounded():
    result = rewritten(Lambda(lambda s, x: attention(s, x, activation=torch.tanh)), values(), *BOTH)
    assert [proof.name for proof in result.proofs if proof.changes] == ["separate_denominator"]


class InHalf(fx.Interpreter):
    """Every value rounded to half precision, halves below 2^-14 flushed to zero, as LiteRT has them."""

    def run_node(self, n):
        value = super().run_node(n)
        if isinstance(value, torch.Tensor) and n.op == "call_function":
            value = value.half().float()
            value = torch.where(value.abs() < TINY, 0.0, value)
        return value


@pytest.mark.parametrize("scale", [1e-1, 1.0, 1e1, 1e2, 1e3, 3e3])
def test_half_precision_is_enough(scale):
    """Products of the form networks have reach 1e14 here."""
    x = values(scale)
    found = InHalf(rewritten(Lambda(attention), values(), *BOTH).graph).run(x)
    expected = attention(None, x.double()).float()
    assert (found - expected).abs().max() < 5e-3 * (expected.max() - expected.min())


@pytest.mark.parametrize("scale", [1e-8, 1e-6, 1e-4, 1e-3, 1e-2])
def test_vanishing_denominators_give_numbers(scale):
    """Queries, keys or both far below what half precision resolves: what is left is bounded by the values."""
    for parts in ((0,), (1,), (0, 1), (0, 1, 2)):
        x = values()
        for part in parts:
            x[:, :, part * WIDTH : (part + 1) * WIDTH] *= scale
        found = InHalf(rewritten(Lambda(attention), values(), *BOTH).graph).run(x)
        assert found.isfinite().all()
        assert found.abs().max() <= 1.01 * x[:, :, 2 * WIDTH :].abs().max()


def test_products_are_bounded():
    graph = rewritten(Lambda(attention), values(), *BOTH).graph
    for scale in (1.0, 1e2, 1e4):
        largest = visit(graph, [values(scale)], lambda _, value: float(value.abs().max()))
        assert max(value for name, value in largest.items() if "matmul" in name) <= LARGEST


@pytest.mark.parametrize("part", [0, 1, 2])
def test_where_all_queries_or_keys_or_values_are_zero(part):
    graph = rewritten(Lambda(attention), values(), *BOTH).graph
    x = values()
    x[:, :, part * WIDTH : (part + 1) * WIDTH] = -0.0
    assert graph(x).abs().max() == 0


def test_the_form_networks_have_overflows_half_precision():
    x = values(1e2)
    product = next(
        value
        for name, value in visit(
            capture(Lambda(attention), [x]), [x], lambda _, v: float(v.abs().max())
        ).items()
        if name == "matmul_1"
    )
    assert product > 65504
