"""Bicubic resizing as two matrix products, for formats without an operator for it.

    y (Ho, Wo) = R x C^T        x (H, W), R (Ho, H), C (Wo, W), each row of R and C at most four numbers

Source    R. Keys, Cubic convolution interpolation for digital image processing, 1981, with a = -0.75; the
          matrices are computed by PyTorch
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx

from mocovit_deploy.graph.edit import argument, aten, shape_of

BICUBIC = (aten.upsample_bicubic2d.default, aten.upsample_bicubic2d.vec)


def bicubic_matrices(node: fx.Node) -> tuple[Tensor, Tensor]:
    """R (Ho, H) and C (Wo, W), float64, for a call of `BICUBIC` on an image (N, C, H, W)."""
    out, size = shape_of(node)[2:], shape_of(node.all_input_nodes[0])[2:]
    align_corners = bool(argument(node, "align_corners"))
    if node.target is aten.upsample_bicubic2d.vec:
        scales: Sequence[float | None] = argument(node, "scale_factors") or (None, None)
    else:
        scales = argument(node, "scales_h"), argument(node, "scales_w")
    rows, columns = (bicubic_matrix(size[i], out[i], align_corners, scales[i]) for i in (0, 1))
    return rows, columns


def bicubic_matrix(size: int, out: int, align_corners: bool, scale: float | None = None) -> Tensor:
    """The matrix (out, size), float64, that resizes `size` numbers to `out`.

    >>> [round(weight, 5) for weight in bicubic_matrix(4, 8, False)[3].tolist()]
    [-0.10547, 0.87891, 0.26172, -0.03516]
    """
    each = torch.eye(size, dtype=torch.float64)[None, None]  # a column for each of the numbers
    made: Tensor = aten.upsample_bicubic2d.default(each, [out, size], align_corners, scale, None)
    return made[0, 0]
