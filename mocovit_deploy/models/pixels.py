"""A network behind its own preprocessing: pixels in, so that an app passes what a camera gives.

    before   tensor (N, C, S, S) float32 - network                                the app normalizes
    after    pixels (N, C, S, S) uint8, RGB - (pixel * scale - mean) / std - network

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
    """`network` of pixels 0..255 in RGB, prepared as `how` says."""

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
    """`network`, which takes one normalized image, behind its preprocessing, and what that takes.

    Raises `UsageError` for a network that takes pixels already, or something else than one image.
    """
    image = inputs.image
    if inputs.example is not None:
        raise UsageError(f"--normalize: {name} takes something else than one image; leave it out")
    if image.dtype == "uint8":
        raise UsageError(f"--normalize: {name} takes pixels in uint8 as they are; leave it out")
    how = image.preprocessing
    if image.channels not in (1, 3) or not len(how.mean) == len(how.std) >= image.channels:
        raise UsageError(
            f"--normalize: {name} takes images of {image.channels} channels, mean and std have "
            f"{len(how.mean)} and {len(how.std)}; leave it out"
        )
    taken = replace(image, dtype="uint8", preprocessing=replace(PIXELS, assumed=(), built_in=how))
    return TakingPixels(network, how, image.channels).eval(), replace(inputs, image=taken)
