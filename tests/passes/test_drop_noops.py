import pytest
import torch
from networks import Lambda, picture
from torch import nn

from mocovit_deploy.graph.capture import capture
from mocovit_deploy.passes.drop_noops import drop_noops

NOOPS = {
    "full slice": lambda _s, x: x[:, :3],
    "alias": lambda _s, x: torch.ops.aten.alias(x),
    "clone": lambda _s, x: x.clone(),
    "detach": lambda _s, x: x.detach(),
    "own dtype": lambda _s, x: x.to(torch.float32),
    "own shape": lambda _s, x: x.reshape(1, 3, 64, 64),
    "same order": lambda _s, x: x.permute(0, 1, 2, 3),
    "cat of one": lambda _s, x: torch.cat([x], 1),
    "times one": lambda _s, x: x * 1.0,
    "over one": lambda _s, x: x / 1,
    "plus zero": lambda _s, x: x + 0,
    "dropout": lambda _s, x: nn.functional.dropout(x, 0.5, training=False),
}

NOT_NOOPS = {
    "short slice": lambda _s, x: x[:, :2],
    "strided slice": lambda _s, x: x[:, ::2],
    "other dtype": lambda _s, x: x.to(torch.float64),
    "other shape": lambda _s, x: x.reshape(1, 3, 4096),
    "other order": lambda _s, x: x.permute(0, 1, 3, 2),
    "cat of two": lambda _s, x: torch.cat([x, x], 1),
    "times two": lambda _s, x: x * 2.0,
    "plus one": lambda _s, x: x + 1,
    "minus zero of another dtype": lambda _s, x: x.long() * 1.0,
    "training dropout": lambda _s, x: nn.functional.dropout(x, 0.5, training=True),
}


@pytest.mark.parametrize("name", NOOPS)
def test_dropped(name):
    x = picture()
    graph = capture(Lambda(lambda s, x: NOOPS[name](s, x.abs()).sqrt()), [x])
    result = drop_noops(graph)
    names = [str(n.target) for n in result.graph.graph.nodes if n.op == "call_function"]
    assert names == ["aten.abs.default", "aten.sqrt.default"]
    assert len(result.changes) == 1
    assert torch.equal(result.graph(x), graph(x))


@pytest.mark.parametrize("name", NOT_NOOPS)
def test_kept(name):
    graph = capture(Lambda(NOT_NOOPS[name]), [picture()])
    result = drop_noops(graph)
    assert not result.changes
    assert len(result.graph.graph.nodes) == len(graph.graph.nodes)


def test_a_chain_goes_whole():
    graph = capture(
        Lambda(lambda _s, x: (x.clone() * 1)[:, :].reshape(1, 3, 64, 64).detach() + 5), [picture()]
    )
    assert len(drop_noops(graph).graph.graph.nodes) == 3


def test_a_free_batch_is_no_obstacle():
    graph = capture(Lambda(lambda _s, x: x[:, :3].relu()), [picture(batch=2)], dynamic_batch=True)
    assert len(drop_noops(graph).changes) == 1
