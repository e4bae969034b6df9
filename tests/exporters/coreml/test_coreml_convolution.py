from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

CONVOLUTIONS = {
    # id: (Ci, Co, kernel, strides, pad_type, pad, dilations, groups, space)
    "pointwise": (6, 8, (1, 1), (1, 1), "valid", None, (1, 1), 1, (7, 5)),
    "pointwise-strided": (6, 8, (1, 1), (2, 2), "valid", None, (1, 1), 1, (7, 5)),
    "pointwise-grouped": (6, 9, (1, 1), (1, 1), "valid", None, (1, 1), 3, (4, 5)),
    "pointwise-padded": (3, 2, (1, 1), (1, 1), "custom", (1, 0, 2, 1), (1, 1), 1, (4, 5)),
    "full": (3, 4, (3, 3), (1, 1), "custom", (1, 1, 1, 1), (1, 1), 1, (6, 7)),
    "full-valid": (3, 4, (3, 2), (1, 1), "valid", None, (1, 1), 1, (6, 7)),
    "full-strided": (3, 4, (3, 3), (2, 2), "custom", (1, 1, 1, 1), (1, 1), 1, (8, 7)),
    "full-asymmetric": (3, 4, (3, 5), (2, 1), "custom", (0, 2, 3, 1), (1, 1), 1, (8, 7)),
    "full-dilated": (3, 4, (3, 3), (1, 2), "custom", (2, 2, 3, 3), (2, 3), 1, (9, 9)),
    "full-grouped": (6, 4, (3, 3), (1, 1), "custom", (1, 1, 1, 1), (1, 1), 2, (5, 5)),
    "depthwise": (5, 5, (3, 3), (1, 1), "custom", (1, 1, 1, 1), (1, 1), 5, (6, 7)),
    "depthwise-strided": (5, 5, (5, 5), (2, 2), "custom", (2, 2, 2, 2), (1, 1), 5, (9, 8)),
    "depthwise-dilated": (5, 5, (3, 3), (1, 1), "custom", (2, 2, 2, 2), (2, 2), 5, (6, 7)),
    "depthwise-multiplied": (4, 8, (3, 3), (1, 1), "valid", None, (1, 1), 4, (6, 7)),
    "one-channel": (1, 1, (3, 3), (1, 1), "valid", None, (1, 1), 1, (5, 5)),
    "same-odd": (3, 4, (3, 3), (1, 1), "same", None, (1, 1), 1, (6, 7)),
    "same-even": (3, 4, (2, 4), (1, 1), "same", None, (1, 1), 1, (6, 7)),
    "same-strided": (3, 4, (3, 3), (2, 2), "same", None, (1, 1), 1, (8, 7)),
    "same-dilated": (3, 4, (3, 3), (2, 1), "same", None, (2, 3), 1, (8, 7)),
    "same_lower-even": (3, 4, (2, 4), (1, 1), "same_lower", None, (1, 1), 1, (6, 7)),
    "same_lower-strided": (4, 4, (3, 3), (2, 2), "same_lower", None, (1, 1), 4, (8, 8)),
    "same-kernel-below-stride": (3, 4, (1, 1), (2, 3), "same", None, (1, 1), 1, (5, 7)),
    "one-axis": (3, 4, (3,), (2,), "custom", (1, 1), (2,), 1, (9,)),
    "three-axes": (2, 4, (3, 2, 3), (1, 2, 1), "custom", (1, 1, 0, 1, 1, 1), (1, 1, 1), 2, (4, 5, 6)),
}
FUNCTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def same_pads(space, kernel, strides, dilations, lower):
    """TensorFlow's rule, written from its definition: ceil(space / stride) positions."""
    pads = []
    for size, k, s, d in zip(space, kernel, strides, dilations, strict=True):
        needed = (int(np.ceil(size / s)) - 1) * s + (k - 1) * d + 1
        total = max(needed - size, 0)
        small, large = total // 2, total - total // 2
        pads += [large, small] if lower else [small, large]
    return tuple(pads)


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_conv(case, bias, agree, draw):
    ci, co, kernel, strides, pad_type, pad, dilations, groups, space = case
    weight, offset = draw((co, ci // groups, *kernel)), draw((co,))
    given = {"pad": pad} if pad_type == "custom" else {}

    def build(mb, const, x):
        extra = {"bias": const(offset)} if bias else {}
        return mb.conv(
            x=x,
            weight=const(weight),
            strides=strides,
            pad_type=pad_type,
            dilations=dilations,
            groups=groups,
            **given,
            **extra,
        )

    def expected(const, x):
        pads = pad or (0,) * 2 * len(space)
        if pad_type.startswith("same"):
            pads = same_pads(space, kernel, strides, dilations, pad_type == "same_lower")
        # F.pad lists the last axis first.
        ordered = [p for axis in reversed(range(len(space))) for p in pads[2 * axis : 2 * axis + 2]]
        return FUNCTIONS[len(space)](
            F.pad(x, ordered), const(weight), const(offset) if bias else None, strides, 0, dilations, groups
        )

    agree([draw((2, ci, *space))], build, expected)


TRANSPOSED = {
    # id: (Ci, Co, kernel, strides, pad, dilations, groups, output_padding, space)
    "plain": (3, 4, (3, 3), (1, 1), (0, 0), (1, 1), 1, (0, 0), (4, 5)),
    "strided": (3, 4, (3, 2), (2, 3), (1, 0), (1, 1), 1, (0, 0), (4, 5)),
    "grouped": (4, 6, (3, 3), (2, 2), (1, 1), (1, 1), 2, (0, 0), (4, 5)),
    "depthwise": (4, 4, (4, 4), (2, 2), (1, 1), (1, 1), 4, (0, 0), (4, 5)),
    "dilated": (2, 3, (3, 3), (1, 1), (1, 1), (2, 2), 1, (0, 0), (4, 5)),
    "output-padding": (3, 4, (3, 3), (2, 2), (1, 1), (1, 1), 1, (1, 1), (4, 5)),
    "output-beyond-canvas": (3, 4, (1, 1), (2, 2), (0, 0), (1, 1), 1, (1, 1), (4, 5)),
    "one-axis": (3, 4, (3,), (2,), (1,), (1,), 1, (0,), (5,)),
}


@pytest.mark.parametrize("case", TRANSPOSED.values(), ids=TRANSPOSED)
def test_conv_transpose(case, agree, draw):
    ci, co, kernel, strides, pad, dilations, groups, beyond, space = case
    weight, offset = draw((ci, co // groups, *kernel)), draw((co,))
    transposed = {1: F.conv_transpose1d, 2: F.conv_transpose2d}[len(space)]

    def expected(const, x):
        return transposed(x, const(weight), const(offset), strides, pad, beyond, groups, dilations)

    x = draw((2, ci, *space))
    shape = expected(torch.from_numpy, torch.from_numpy(x)).shape

    def build(mb, const, x):
        extra = {"output_shape": np.array(shape, np.int32)} if any(beyond) else {}
        return mb.conv_transpose(
            x=x,
            weight=const(weight),
            bias=const(offset),
            strides=strides,
            pad_type="custom",
            pad=[p for p in pad for _ in range(2)],
            dilations=dilations,
            groups=groups,
            **extra,
        )

    agree([x], build, expected)


@pytest.mark.parametrize("pad_type", ["valid", "same"])
def test_conv_transpose_by_pad_type(pad_type, agree, draw):
    """ "same" is the transpose of a convolution with "same" padding: its output is input times stride."""
    weight = draw((3, 2, 3, 3))

    def build(mb, const, x):
        return mb.conv_transpose(x=x, weight=const(weight), strides=(2, 2), pad_type=pad_type)

    def expected(const, x):
        full = F.conv_transpose2d(x, const(weight), stride=2)
        # 3 - 2 = 1 sample too many on each axis, cut at the end (its smaller half, 0, at the beginning).
        return full if pad_type == "valid" else full[..., :8, :10]

    agree([draw((1, 3, 4, 5))], build, expected)


def test_convolution_does_not_change_its_input(save, draw):
    from exporters.coreml.execute import execute

    x = draw((1, 2, 4, 4))
    program = save([x], lambda mb, x: mb.conv(x=x, weight=draw((2, 2, 1, 1)), bias=draw((2,))))
    before = x.copy()
    execute(program, {"x0": x}, "fp32")
    np.testing.assert_array_equal(x, before)
