"""Pieces of random networks: each takes a tensor of some rank and gives one back.

A piece is built for the shape that it will meet. Everything it draws comes from the generator it is given, so
that the same seed builds the same piece.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from campaign.functions import (
    WrittenInto,
    across,
    elementwise,
    image_again,
    more_axes,
    pooled,
    rearranged,
    reduced,
    selected,
    sliced,
    tokens,
    volume,
)
from campaign.layers import (
    Build,
    ChannelNorm,
    Positions,
    RootMeanSquare,
    Shape,
    activation,
    adaptive_pool,
    attention,
    avg_pool,
    batch_norm,
    conv,
    conv_norm_act,
    depthwise,
    group_norm,
    instance_norm,
    layer_norm,
    linear,
    masked,
    max_pool,
    mix,
    pad,
    pixel_shuffle,
    recurrent,
    resize,
    same_conv,
    scaled,
    squeeze_excite,
    torch_attention,
    transposed_conv,
    uneven_conv,
)


@dataclass(frozen=True)
class Piece:
    name: str
    ranks: tuple[int, ...]
    """Of what it takes."""
    build: Build
    share: int = 1
    """How often it is drawn, beside the others."""


def _of(kind: Callable[[Shape], nn.Module]) -> Build:
    return lambda _draw, shape: kind(shape)


SPATIAL = (3, 4, 5)
ANY = (2, 3, 4, 5)
PIECES = (
    Piece("conv", SPATIAL, conv, 3),
    Piece("conv, norm, activation", SPATIAL, conv_norm_act, 3),
    Piece("uneven conv", (4,), uneven_conv),
    Piece("same conv", (3, 4), same_conv),
    Piece("depthwise", (3, 4), depthwise, 3),
    Piece("transposed conv", SPATIAL, transposed_conv, 3),
    Piece("batch norm", ANY, batch_norm),
    Piece("group norm", SPATIAL, group_norm),
    Piece("instance norm", SPATIAL, instance_norm),
    Piece("layer norm", ANY, layer_norm),
    Piece("channel norm", (4,), _of(lambda shape: ChannelNorm(shape[1]))),
    Piece("root mean square", (2, 3), _of(lambda shape: RootMeanSquare(shape[-1]))),
    Piece("activation", ANY, activation),
    Piece("max pool", SPATIAL, max_pool),
    Piece("avg pool", SPATIAL, avg_pool),
    Piece("adaptive pool", SPATIAL, adaptive_pool),
    Piece("resize", SPATIAL, resize),
    Piece("pixel shuffle", (4,), pixel_shuffle),
    Piece("pad", SPATIAL, pad),
    Piece("linear", ANY, linear, 3),
    Piece("squeeze excite", (4,), squeeze_excite),
    Piece("attention", (3,), attention, 3),
    Piece("torch attention", (3,), torch_attention),
    Piece("positions", (3,), _of(lambda shape: Positions(shape[1], shape[2]))),
    Piece("recurrent", (3,), recurrent),
    Piece("einsum", ANY, mix),
    Piece("masked", ANY, masked),
    Piece("scaled", ANY, scaled),
    Piece("slice", ANY, sliced),
    Piece("select", ANY, selected),
    Piece("rearrange", (3, 4, 5), rearranged),
    Piece("elementwise", ANY, elementwise),
    Piece("across", ANY, across),
    Piece("written into", ANY, _of(lambda _shape: WrittenInto())),
    Piece("reduce", (4, 5), reduced),
    Piece("pool to vector", SPATIAL, pooled),
    Piece("tokens", (4, 5), tokens),
    Piece("image of tokens", (3,), image_again),
    Piece("volume", (4, 5), volume),
    Piece("more axes", (2, 3, 4), more_axes),
)
