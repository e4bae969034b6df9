"""The feature maps inside a backbone instead of the outputs of its head: `--features 8,16,32`.

    before   image - stem - blocks - head - logits (N, classes)
    after    image - stem - blocks                    blocks that no map needs are left out
                       |- stride_8    (N, C, H/8, W/8)
                       |- stride_16   (N, C, H/16, W/16)
                       `- stride_32   (N, C, H/32, W/32)

The maps are taken from the whole network, after its checkpoint is loaded or its random weights are scaled. So
they are exactly the maps inside the whole network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor, nn

from mocovit_deploy.errors import UsageError
from mocovit_deploy.graph.wrapper import Wrapper
from mocovit_deploy.models import FeatureSource, Source

if TYPE_CHECKING:
    from mocovit_deploy.spec import ModelSpec


class NamedMaps(Wrapper):
    """A backbone that returns a list of maps; this module returns them by stride, all (N, C, H, W)."""

    def __init__(self, backbone: nn.Module, strides: Sequence[int], *, channels_last: bool = False) -> None:
        super().__init__(backbone)
        self.strides, self.channels_last = tuple(strides), channels_last

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps: Any = self.run(image)
        if self.channels_last:
            maps = [one.permute(0, 3, 1, 2) for one in maps]
        return {map_name(stride): one for stride, one in zip(self.strides, maps, strict=True)}


def map_name(stride: int) -> str:
    """The name in files of the map at a stride.

    >>> map_name(8)
    'stride_8'
    """
    return f"stride_{stride}"


def require_backbones(spec: ModelSpec, source: Source) -> None:
    """Raise `UsageError` if maps are asked for and the source cannot return any."""
    if spec.features and not hasattr(source, "feature_maps"):
        raise UsageError(
            f"--features: works for mocovit_* and timm/NAME, not for {spec.name}; leave out --features, and "
            'return the maps in its forward, as in return {"stride_8": x, ...}'
        )


def with_maps(spec: ModelSpec, source: Source, network: nn.Module) -> nn.Module:
    """The maps of `network` at the strides of `spec`; the network itself if `spec` has no strides.

    Raises `UsageError`, which names --features, for a stride at which the network has no map.
    """
    if not spec.features:
        return network
    try:
        return cast("FeatureSource", source).feature_maps(spec, network).eval()
    except UsageError as error:
        raise UsageError(
            f"--features: {error}; choose other strides or another network, or leave out --features"
        ) from error


def last_at_each(reductions: Sequence[int]) -> dict[int, int]:
    """For each stride, the place of the last map at it, which is the deepest one.

    >>> last_at_each([2, 4, 8, 16, 16, 32])
    {2: 0, 4: 1, 8: 2, 16: 4, 32: 5}
    """
    return {stride: place for place, stride in enumerate(reductions)}


def require_strides(name: str, wanted: Sequence[int], known: Sequence[int]) -> None:
    """Raise `UsageError` for a stride of `wanted` that is not among `known`."""
    if missing := [str(stride) for stride in wanted if stride not in known]:
        raise UsageError(
            f"{name} has no map at stride {' and '.join(missing)}; it has maps at "
            f"{', '.join(map(str, sorted(set(known))))}"
        )
