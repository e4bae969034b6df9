from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

WINDOWS = {
    # id: (kernel, strides, symmetric pad of each axis, ceil_mode)
    "plain": ((2, 2), (2, 2), (0, 0), False),
    "overlapping": ((3, 3), (2, 2), (1, 1), False),
    "uneven": ((3, 2), (1, 3), (1, 0), False),
    "ceil": ((3, 3), (2, 2), (0, 0), True),
    "ceil-padded": ((3, 3), (2, 2), (1, 1), True),
    "ceil-dropped-window": ((2, 2), (3, 3), (1, 1), True),
    "one-axis": ((3,), (2,), (1,), False),
    "three-axes": ((2, 2, 2), (1, 2, 1), (1, 0, 1), False),
}
SPACES = {1: (9,), 2: (8, 7), 3: (4, 5, 6)}


def window(case):
    kernel, strides, pad, ceil = case
    return {
        "kernel_sizes": kernel,
        "strides": strides,
        "pad_type": "custom",
        "pad": [p for p in pad for _ in range(2)],
        "ceil_mode": ceil,
    }


@pytest.mark.parametrize("case", WINDOWS.values(), ids=WINDOWS)
def test_max_pool(case, agree, draw):
    kernel, strides, pad, ceil = case
    pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[len(kernel)]
    agree(
        [draw((2, 3, *SPACES[len(kernel)]), -3, -1)],  # all negative: a padding of zeros would win
        lambda mb, const, x: mb.max_pool(x=x, **window(case)),
        lambda const, x: pool(x, kernel, strides, pad, ceil_mode=ceil),
    )


@pytest.mark.parametrize("exclude", [True, False], ids=["without-padding", "with-padding"])
@pytest.mark.parametrize("case", WINDOWS.values(), ids=WINDOWS)
def test_avg_pool(case, exclude, agree, draw):
    kernel, strides, pad, ceil = case
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[len(kernel)]
    agree(
        [draw((2, 3, *SPACES[len(kernel)]), 1, 2)],
        lambda mb, const, x: mb.avg_pool(x=x, exclude_padding_from_average=exclude, **window(case)),
        lambda const, x: pool(x, kernel, strides, pad, ceil_mode=ceil, count_include_pad=not exclude),
    )


@pytest.mark.parametrize("pad_type", ["valid", "same", "same_lower"])
def test_pad_types(pad_type, agree, draw):
    """On 6 samples a window of 2 at stride 1 needs one more under "same": after, or before."""
    added = {"valid": (0, 0), "same": (0, 1), "same_lower": (1, 0)}[pad_type]
    agree(
        [draw((1, 2, 6, 6), 1, 2)],
        lambda mb, const, x: [
            mb.max_pool(x=x, kernel_sizes=(2, 2), strides=(1, 1), pad_type=pad_type),
            mb.avg_pool(x=x, kernel_sizes=(2, 2), strides=(1, 1), pad_type=pad_type),
        ],
        lambda const, x: [
            F.max_pool2d(F.pad(x, added * 2, value=-torch.inf), 2, 1),
            F.avg_pool2d(F.pad(x, added * 2), 2, 1),
        ],
    )


def test_l2_pool(agree, draw):
    agree(
        [draw((1, 2, 7, 6))],
        lambda mb, const, x: mb.l2_pool(x=x, kernel_sizes=(3, 2), strides=(2, 2), pad_type="valid"),
        lambda const, x: F.lp_pool2d(x, 2, (3, 2), (2, 2)),
    )
