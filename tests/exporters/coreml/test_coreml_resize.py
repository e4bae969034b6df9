from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from exporters.coreml.execute import NotExecutable, execute
from exporters.coreml.semantics.resize import grid


@pytest.mark.parametrize("align", [True, False], ids=["align-corners", "half-pixel"])
@pytest.mark.parametrize("factors", [(2, 3), (1, 1), (1.5, 2.5), (8 / 7, 0.75)], ids=str)
def test_upsample_bilinear(factors, align, agree, draw):
    x = draw((2, 3, 7, 8))
    size = tuple(int(np.floor(n * np.float32(f))) for n, f in zip((7, 8), factors, strict=True))
    agree(
        [x],
        lambda mb, const, x: mb.upsample_bilinear(
            x=x, scale_factor_height=factors[0], scale_factor_width=factors[1], align_corners=align
        ),
        lambda const, x: F.interpolate(x, size=size, mode="bilinear", align_corners=align),
    )


def test_upsample_bilinear_without_half_pixels(agree, draw):
    """TensorFlow's old grid, i * in / out: doubling puts every second sample on an input sample."""

    def expected(const, x):
        right = F.pad(x, (0, 1, 0, 1), mode="replicate")
        return F.interpolate(right, size=(9, 11), mode="bilinear", align_corners=True)[..., :8, :10]

    agree(
        [draw((1, 2, 4, 5))],
        lambda mb, const, x: mb.upsample_bilinear(
            x=x, scale_factor_height=2, scale_factor_width=2, align_corners=False, half_pixel_centers=False
        ),
        expected,
    )


@pytest.mark.parametrize(
    ("mode", "align"), [("STRICT_ALIGN_CORNERS", True), ("ALIGN_CORNERS", True), ("UNALIGN_CORNERS", False)]
)
def test_resize_bilinear(mode, align, agree, draw):
    agree(
        [draw((2, 3, 7, 8))],
        lambda mb, const, x: mb.resize_bilinear(
            x=x, target_size_height=5, target_size_width=13, sampling_mode=mode
        ),
        lambda const, x: F.interpolate(x, size=(5, 13), mode="bilinear", align_corners=align),
    )


@pytest.mark.parametrize(
    ("mode", "out", "points"),
    [  # the examples of coremltools' documentation, for an input of two samples
        ("UNALIGN_CORNERS", 5, [0.0, 0.1, 0.5, 0.9, 1.0]),
        ("STRICT_ALIGN_CORNERS", 5, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("ALIGN_CORNERS", 5, [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("DEFAULT", 5, [0.0, 0.4, 0.8, 1.0, 1.0]),
        ("OFFSET_CORNERS", 5, [0.1, 0.3, 0.5, 0.7, 0.9]),
        ("UNALIGN_CORNERS", 6, [0.0, 0.0, 1 / 3, 2 / 3, 1.0, 1.0]),
        ("STRICT_ALIGN_CORNERS", 6, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ("DEFAULT", 6, [0.0, 1 / 3, 2 / 3, 1.0, 1.0, 1.0]),
        ("OFFSET_CORNERS", 6, [1 / 12, 3 / 12, 5 / 12, 7 / 12, 9 / 12, 11 / 12]),
        ("STRICT_ALIGN_CORNERS", 1, [0.0]),
        ("ALIGN_CORNERS", 1, [0.5]),
    ],
)
def test_grid(mode, out, points):
    np.testing.assert_allclose(grid(2, out, mode), points, rtol=0, atol=1e-12)


@pytest.mark.parametrize("factors", [(2, 3), (1, 4), (4.5, 5.5)], ids=str)
def test_upsample_nearest_neighbor(factors, agree, draw):
    agree(
        [draw((2, 3, 10, 10))],
        lambda mb, const, x: mb.upsample_nearest_neighbor(
            x=x, scale_factor_height=factors[0], scale_factor_width=factors[1]
        ),
        lambda const, x: F.interpolate(x, scale_factor=tuple(map(float, factors)), mode="nearest"),
    )


def test_a_factor_whose_nearest_sample_is_open_is_refused(save):
    """4 to 6 samples: by the sizes output 3 is input 2, by coremltools' factor of 1.500025 it is input 1."""
    x = np.zeros((1, 1, 4, 4), np.float32)
    program = save(
        [x],
        lambda mb, x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=1.500025, scale_factor_width=1.0),
    )
    with pytest.raises(NotExecutable, match=r"upsample_nearest_neighbor .*scale_factor_height 1\.5"):
        execute(program, {"x0": x}, "fp32")


def test_bilinear_of_one_sample(agree):
    agree(
        [np.array([[[[2.0]], [[3.0]]]], np.float32)],
        lambda mb, const, x: mb.upsample_bilinear(
            x=x, scale_factor_height=3, scale_factor_width=2, align_corners=True
        ),
        lambda const, x: torch.ones(1, 2, 3, 2) * x,
    )
