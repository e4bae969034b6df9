"""Inputs that an app passes as pictures: Core ML's image type instead of an array.

    one image in uint8, batch 1, grey or colour      ImageType in RGB, BGR or GRAYSCALE, float32 inside
    anything else                                    an array

Vision and Xcode's preview take models with an image input as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.spec import TensorSpec


def is_image(spec: TensorSpec) -> bool:
    """True for an input of PyTorch's network that is one picture: uint8, (1, 1 or 3, H, W)."""
    fits = spec.dtype == "uint8" and spec.layout == "nchw" and len(spec.shape) == 4
    return fits and spec.shape[0] == 1 and spec.shape[1] in (1, 3)


def input_types(ct: Any, specs: Sequence[TensorSpec], colour_order: str) -> list[Any]:
    """coremltools' descriptions of a file's inputs."""
    return [_image(ct, s, colour_order) if is_image(s) else _array(ct, s) for s in specs]


def _image(ct: Any, spec: TensorSpec, colour_order: str) -> Any:
    colours = ct.colorlayout
    order = colours.GRAYSCALE if spec.shape[1] == 1 else getattr(colours, colour_order or "RGB")
    return ct.ImageType(name=spec.name, shape=spec.shape, color_layout=order)


def _array(ct: Any, spec: TensorSpec) -> Any:
    return ct.TensorType(name=spec.name, shape=spec.shape, dtype=np.dtype(spec.dtype).type)


def picture(array: Array, *, reverses: bool) -> Any:
    """(1, C, H, W) uint8 as the PIL picture that `MLModel.predict` takes.

    PIL's colours are in the order RGB; `reverses` turns BGR around.
    """
    from PIL import Image

    pixels = np.moveaxis(array[0], 0, -1)
    if pixels.shape[-1] == 1:
        return Image.fromarray(pixels[..., 0])
    return Image.fromarray(np.ascontiguousarray(pixels[..., ::-1] if reverses else pixels))
