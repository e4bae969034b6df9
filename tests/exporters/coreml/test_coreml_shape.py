from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

MOVES = {
    "reshape": (lambda mb, x: mb.reshape(x=x, shape=(4, 30)), lambda x: x.reshape(4, 30)),
    "reshape-rest": (lambda mb, x: mb.reshape(x=x, shape=(2, -1, 5)), lambda x: x.reshape(2, -1, 5)),
    "reshape-kept": (lambda mb, x: mb.reshape(x=x, shape=(0, 4, 3, 0)), lambda x: x.reshape(2, 4, 3, 5)),
    "transpose": (lambda mb, x: mb.transpose(x=x, perm=(0, 2, 3, 1)), lambda x: x.permute(0, 2, 3, 1)),
    "transpose-negative": (
        lambda mb, x: mb.transpose(x=x, perm=(-4, -1, -3, -2)),
        lambda x: x.permute(0, 3, 1, 2),
    ),
    "expand_dims": (lambda mb, x: mb.expand_dims(x=x, axes=[0]), lambda x: x[None]),
    "expand_dims-last": (lambda mb, x: mb.expand_dims(x=x, axes=[-1]), lambda x: x[..., None]),
    "slice": (
        lambda mb, x: mb.slice_by_index(x=x, begin=(0, 1, 0, 2), end=(2, 3, 4, 4)),
        lambda x: x[:, 1:3, :, 2:4],
    ),
    "slice-strided": (
        lambda mb, x: mb.slice_by_index(x=x, begin=(0, 0, 1, 0), end=(2, 3, 4, 5), stride=(1, 2, 1, 3)),
        lambda x: x[:, ::2, 1:, ::3],
    ),
    "slice-negative": (
        lambda mb, x: mb.slice_by_index(x=x, begin=(0, -2, 0, -4), end=(2, 3, -1, -1)),
        lambda x: x[:, -2:, :-1, -4:-1],
    ),
    "slice-backwards": (
        lambda mb, x: mb.slice_by_index(
            x=x,
            begin=(0, 0, 0, 3),
            end=(0, 0, 0, 0),
            stride=(1, 1, 1, -1),
            begin_mask=(True, True, True, False),
            end_mask=(True, True, True, False),
        ),
        lambda x: x.flip(3)[..., 1:4],
    ),
    "slice-masked": (
        lambda mb, x: mb.slice_by_index(
            x=x,
            begin=(9, 1, 9, 0),
            end=(9, 9, 3, 9),
            begin_mask=(True, False, True, False),
            end_mask=(True, True, False, True),
        ),
        lambda x: x[:, 1:, :3],
    ),
    "slice-squeezed": (
        lambda mb, x: mb.slice_by_index(
            x=x,
            begin=(0, -1, 0, 2),
            end=(0, 0, 4, 0),
            end_mask=(True, False, False, False),
            squeeze_mask=(False, True, False, True),
        ),
        lambda x: x[:, -1, :, 2],
    ),
    "slice_by_size": (
        lambda mb, x: mb.slice_by_size(x=x, begin=(0, 1, 0, 2), size=(-1, 2, 3, -1)),
        lambda x: x[:, 1:3, :3, 2:],
    ),
    "tile": (lambda mb, x: mb.tile(x=x, reps=(1, 2, 1, 3)), lambda x: x.repeat(1, 2, 1, 3)),
    "reverse": (lambda mb, x: mb.reverse(x=x, axes=[1, -1]), lambda x: x.flip(1, 3)),
    "reverse-all": (lambda mb, x: mb.reverse(x=x), lambda x: x.flip(0, 1, 2, 3)),
    "crop": (
        lambda mb, x: mb.crop(x=x, crop_height=(1, 0), crop_width=(2, 1)),
        lambda x: x[..., 1:, 2:-1],
    ),
    "gather": (
        lambda mb, x: mb.gather(x=x, indices=np.array([2, 0, -1], np.int32), axis=1),
        lambda x: x[:, [2, 0, 2]],
    ),
    "gather-matrix": (
        lambda mb, x: mb.gather(x=x, indices=np.array([[0, 1], [3, 2]], np.int32), axis=-2),
        lambda x: x[:, :, [[0, 1], [3, 2]]],
    ),
    "gather-one": (lambda mb, x: mb.gather(x=x, indices=np.int32(1), axis=1), lambda x: x[:, 1]),
    "gather-batched": (
        lambda mb, x: mb.gather(x=x, indices=np.array([[0, 2], [1, 1]], np.int32), axis=1, batch_dims=1),
        lambda x: torch.stack([x[0, [0, 2]], x[1, [1, 1]]]),
    ),
}


@pytest.mark.parametrize(("build", "function"), MOVES.values(), ids=MOVES)
def test_move(build, function, agree, draw):
    agree(
        [draw((2, 3, 4, 5))],
        lambda mb, const, x: build(mb, x),
        lambda const, x: function(x).contiguous(),
    )


@pytest.mark.parametrize("axes", [None, [1], [-1, 1]], ids=str)
def test_squeeze(axes, agree, draw):
    agree(
        [draw((2, 1, 3, 1))],
        lambda mb, const, x: mb.squeeze(x=x, **({} if axes is None else {"axes": axes})),
        lambda const, x: x[:, 0] if axes == [1] else x[:, 0, :, 0],
    )


@pytest.mark.parametrize("axis", [1, -2])
def test_gather_along_axis(axis, agree, draw):
    indices = np.random.default_rng(1).integers(0, 3, (2, 3, 4)).astype(np.int32)
    agree(
        [draw((2, 3, 4))],
        lambda mb, const, x: mb.gather_along_axis(x=x, indices=indices, axis=axis),
        lambda const, x: torch.gather(x, axis, torch.from_numpy(indices).long()),
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_and_stack(axis, agree, draw):
    agree(
        [draw((2, 3, 4)), draw((2, 3, 4)), draw((2, 3, 4))],
        lambda mb, const, *xs: [
            mb.concat(values=xs, axis=axis),
            mb.stack(values=xs, axis=axis),
            mb.concat(values=xs, axis=axis, interleave=True),
        ],
        lambda const, *xs: [
            torch.cat(xs, axis),
            torch.stack(xs, axis),
            torch.stack(xs, axis + 1 if axis >= 0 else 3).reshape(torch.cat(xs, axis).shape),
        ],
    )


def test_concat_of_unequal_parts(agree, draw):
    agree(
        [draw((2, 1, 4)), draw((2, 5, 4))],
        lambda mb, const, *xs: mb.concat(values=xs, axis=1),
        lambda const, *xs: torch.cat(xs, 1),
    )


@pytest.mark.parametrize("axis", [1, -1])
def test_split(axis, agree, draw):
    agree(
        [draw((2, 6, 6))],
        lambda mb, const, x: [
            *mb.split(x=x, num_splits=3, axis=axis),
            *mb.split(x=x, split_sizes=(1, 3, 2), axis=axis),
        ],
        lambda const, x: [part.contiguous() for part in (*x.split(2, axis), *x.split((1, 3, 2), axis))],
    )


PADDINGS = {
    "constant": ((1, 2, 3, 0), {"mode": "constant"}, {"mode": "constant"}),
    "constant-value": ((0, 1), {"mode": "constant"}, {"mode": "constant", "value": 0.5}),
    "all-axes": ((1, 0, 0, 1, 2, 0, 0, 3), {"mode": "constant"}, {"mode": "constant"}),
    "reflect": ((1, 2, 3, 0), {"mode": "reflect"}, {"mode": "reflect"}),
    "replicate": ((1, 2, 3, 0), {"mode": "replicate"}, {"mode": "replicate"}),
}


@pytest.mark.parametrize(("pad", "ours", "theirs"), PADDINGS.values(), ids=PADDINGS)
def test_pad(pad, ours, theirs, agree, draw):
    pairs = [pad[i : i + 2] for i in range(0, len(pad), 2)]
    ordered = [p for pair in reversed(pairs) for p in pair]  # F.pad lists the last axis first
    agree(
        [draw((2, 3, 4, 5))],
        lambda mb, const, x: mb.pad(x=x, pad=pad, constant_val=const(theirs.get("value", 0.0)), **ours),
        lambda const, x: F.pad(x, ordered, **theirs),
    )


def test_pixel_shuffles(agree, draw):
    agree(
        [draw((2, 8, 4, 6))],
        lambda mb, const, x: [
            mb.pixel_shuffle(x=x, upscale_factor=2),
            mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
        ],
        lambda const, x: [F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2)],
    )


def test_depth_and_space(agree, draw):
    """TensorFlow's order: the place in the block is the outer part of the channel index."""

    def to_space(x):
        n, c, h, w = x.shape
        blocks = torch.einsum("nijchw->nchiwj", x.reshape(n, 2, 2, c // 4, h, w))
        return blocks.reshape(n, c // 4, 2 * h, 2 * w)

    def to_depth(x):
        blocks = [x[:, :, i::2, j::2] for i in range(2) for j in range(2)]
        return torch.cat(blocks, 1)

    agree(
        [draw((2, 8, 4, 6))],
        lambda mb, const, x: [mb.depth_to_space(x=x, block_size=2), mb.space_to_depth(x=x, block_size=2)],
        lambda const, x: [to_space(x), to_depth(x)],
    )
