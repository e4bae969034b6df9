"""The shapes that users write go directly, and nothing of them is left outside XNNPACK that need not be."""

import pytest
import torch
import torch.nn.functional as F
from direct_files import Calling, agree
from torch import nn

IMAGE = (1, 8, 8, 6)


def numbers(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def attention(**options):
    layer = nn.MultiheadAttention(16, 4, batch_first=True, **options)
    return Calling(lambda m, x: m.layer(x, x, x, need_weights=False)[0], layer=layer)


def product(**options):
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)


TOKENS = [numbers(1, 2, 5, 4)] * 3
WORKS = {
    "conv_transpose": (nn.ConvTranspose2d(8, 4, 3, 2, 1, output_padding=1), numbers(*IMAGE)),
    "conv_transpose_depthwise": (nn.ConvTranspose2d(8, 8, 4, 2, 1, groups=8), numbers(*IMAGE)),
    "group_norm": (nn.GroupNorm(4, 8), numbers(*IMAGE)),
    "instance_norm": (nn.InstanceNorm2d(8, affine=True), numbers(*IMAGE)),
    "attention": (product(), *TOKENS),
    "attention_causal": (product(is_causal=True), *TOKENS),
    "attention_masked": (product(attn_mask=torch.ones(5, 5).tril().bool()), *TOKENS),
    "multihead": (attention(), numbers(1, 5, 16)),
    "multihead_bias_kv": (attention(add_bias_kv=True), numbers(1, 5, 16)),
    "encoder": (nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True), numbers(1, 5, 16)),
    "einsum": (lambda a: torch.einsum("bchw,bdhw->bcd", a, a.tanh()), numbers(*IMAGE)),
    "einsum_of_rows": (lambda a: torch.einsum("bchw,bkhw->bckh", a, a.tanh()), numbers(*IMAGE)),
    "pixel_shuffle": (nn.PixelShuffle(2), numbers(*IMAGE)),
    "bilinear": (lambda a: F.interpolate(a, scale_factor=2, mode="bilinear"), numbers(*IMAGE)),
    "nearest": (lambda a: F.interpolate(a, scale_factor=2), numbers(*IMAGE)),
    "adaptive_pool": (nn.AdaptiveAvgPool2d((3, 4)), numbers(*IMAGE)),
    "several": (lambda a, b: (a + b, a @ b.transpose(-1, -2)), numbers(*IMAGE), numbers(*IMAGE) + 1),
    "rank_3": (lambda a: (a.softmax(-1) @ a.transpose(1, 2)).relu(), numbers(1, 5, 6)),
    "rank_5": (lambda a: a.permute(0, 2, 1, 4, 3).mean(2) * 2, numbers(1, 3, 4, 5, 2)),
    "embedding": (
        Calling(lambda m, i: m.linear(m.table(i).mean(1)), table=nn.Embedding(10, 6), linear=nn.Linear(6, 3)),
        torch.tensor([[1, 2, 3, 9]]),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKS)
def test_it_goes_directly(name):
    network, *inputs = WORKS[name]
    outside = ["GATHER"] if name == "embedding" else ()  # XNNPACK looks nothing up
    agree(network, *inputs, nchw=True, error=1e-5, outside=outside)
