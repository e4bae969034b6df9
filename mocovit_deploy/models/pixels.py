"""Put the preprocessing into the network, so that an app passes the pixels of a camera.

    before   tensor (N, C, H, W) float32 - network                                the app normalizes
    after    pixels (N, C, H, W) uint8, RGB - (pixel * scale - mean) / std - network

`passes/fold_normalization` folds the arithmetic into the first convolution.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from mocovit_deploy.errors import UsageError
from mocovit_deploy.graph.wrapper import Wrapper
from mocovit_deploy.models.inputs import Inputs
from mocovit_deploy.spec import PIXELS, Preprocessing


class TakingPixels(Wrapper):
    """Takes pixels 0..255 in RGB, applies the preprocessing `how`, and runs `network`."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, how: Preprocessing, channels: int) -> None:
        super().__init__(network)
        self.scale = how.scale
        self.reverses = how.colour_order == "BGR" and channels == 3
        for name, values in (("mean", how.mean), ("std", how.std)):
            tensor = torch.tensor(values[:channels], dtype=torch.float32).reshape(1, channels, 1, 1)
            self.register_buffer(name, tensor)

    def forward(self, image: Tensor) -> Any:
        tensor = image.to(self.mean.dtype)
        tensor = tensor.flip(1) if self.reverses else tensor
        return self.run((tensor * self.scale - self.mean) / self.std)


def taking_pixels(network: nn.Module, inputs: Inputs, name: str) -> tuple[nn.Module, Inputs]:
    """`network`, which takes one normalized image, as a network that takes pixels, and its new inputs.

    Raises `UsageError` for a network that takes pixels already, or does not take one image.
    """
    image = inputs.image
    if inputs.example is not None:
        raise UsageError(f"--normalize: {name} does not take one image; leave --normalize out")
    if image.dtype == "uint8":
        raise UsageError(f"--normalize: {name} takes uint8 pixels already; leave --normalize out")
    how = image.preprocessing
    if image.channels not in (1, 3) or not len(how.mean) == len(how.std) >= image.channels:
        raise UsageError(
            f"--normalize: {name} takes images of {image.channels} channels, but mean and std have "
            f"{len(how.mean)} and {len(how.std)} numbers; give --mean and --std, or leave --normalize out"
        )
    taken = replace(image, dtype="uint8", preprocessing=replace(PIXELS, assumed=(), built_in=how))
    return TakingPixels(network, how, image.channels).eval(), replace(inputs, image=taken)
