"""Cut an enlarged map to the size of a finer one.

At sizes that a stride does not divide, a map reaches past the image, and so does what is enlarged from it.
What is past the edge is cut off, so that every position stays where it is in the image.
"""

from __future__ import annotations

from torch import Tensor


def cut_to(x: Tensor, like: Tensor) -> Tensor:
    """(N, C, H', W') -> (N, C, H, W): the rows and columns of `x` up to the height and width of `like`."""
    height, width = like.shape[-2:]
    return x if x.shape[-2:] == like.shape[-2:] else x[..., :height, :width]
