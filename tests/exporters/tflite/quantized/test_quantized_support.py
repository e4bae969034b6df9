"""XNNPACK takes in int8 what `operators.toml` says, each operator by itself, and nothing else."""

import pytest
import torch
import torch.nn.functional as F
from int8_files import Int8File
from torch import nn

from exporters.tflite.quantized.support import Support, int8_support

torch.manual_seed(0)
X = torch.randn(1, 8, 6, 6)
Y = torch.randn(1, 8, 6, 6)
A, B = torch.randn(2, 5, 4), torch.randn(2, 4, 3)

TAKEN = {
    "CONV_2D": (nn.Conv2d(8, 4, 3), X),
    "DEPTHWISE_CONV_2D": (nn.Conv2d(8, 8, 3, padding=1, groups=8), X),
    "FULLY_CONNECTED": (nn.Linear(4, 6), A),
    "TRANSPOSE_CONV": (nn.ConvTranspose2d(8, 4, 2, 2), X),
    "BATCH_MATMUL": (lambda a, b: a @ b, A, B),
    "ADD": (lambda x, y: F.relu(x + y), X, Y),
    "SUB": (lambda x, y: x - y, X, Y),
    "MUL": (lambda x, y: x * y.mean((2, 3), keepdim=True), X, Y),
    "MEAN": (lambda x: x.mean((2, 3)), X),
    "SUM": (lambda x: x.sum((2, 3)), X),
    "REDUCE_MAX": (lambda x: x.amax((2, 3)), X),
    "REDUCE_MIN": (lambda x: x.amin((2, 3)), X),
    "CONCATENATION": (lambda x, y: torch.cat([x, y], 1), X, Y),
    "LOGISTIC": (torch.sigmoid, X),
    "TANH": (torch.tanh, X),
    "ELU": (F.elu, X),
    "LEAKY_RELU": (lambda x: F.leaky_relu(x, 0.1), X),
    "PAD": (lambda x: F.pad(x, (1, 0, 1, 0)), X),
    "RESIZE_BILINEAR": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), X),
    "SLICE": (lambda x: x[:, 2:5], X),
    "TRANSPOSE": (lambda x: x.permute(0, 2, 1, 3).contiguous() + 1, X),
    "RESHAPE": (lambda x: x.reshape(1, 4, 2, 36), X),
    "MAX_POOL_2D": (lambda x: F.max_pool2d(x, 2), X),
}
WRITTEN_NOWHERE = ("STRIDED_SLICE", "SPLIT", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE")
"""Kinds that the direct writer does not use; files of other writers may have them."""
LEFT = {
    "HARD_SWISH": (F.hardswish, X),
    "GELU": (F.gelu, X),
    "SOFTMAX": (lambda x: x.softmax(1), X),
    "DIV": (torch.div, X, Y + 9),
    "RELU": (F.relu, X),
    "SQUARED_DIFFERENCE": (lambda x, y: (x - y).square(), X, Y),
    "MAXIMUM": (torch.maximum, X, Y),
    "AVERAGE_POOL_2D": (lambda x: F.avg_pool2d(x, 2), X),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_xnnpack_takes(kind):
    file = Int8File(*TAKEN[kind], every=True)
    assert kind in {one.kind for one in file.tables.operators if one.index in file.chosen}
    _, partitions, outside = file.run()
    assert (partitions, outside) == (1, 0)
    assert file.sqnr_db() > 25


WIDE = [kind for kind in TAKEN if int8_support()[kind].wide]


@pytest.mark.parametrize("kind", WIDE)
def test_tflite_computes_with_int16_activations(kind):
    """As exactly as weights of 8 bits allow, and far more exactly than with int8 if there are none."""
    file = Int8File(*TAKEN[kind], every=True, wide=True)
    assert kind in {one.kind for one in file.tables.operators if one.index in file.chosen}
    assert file.sqnr_db() > (38 if int8_support()[kind].weights is not None else 70)


def test_every_kind_in_the_table_is_tried():
    assert set(int8_support()) == {*TAKEN, *WRITTEN_NOWHERE}


@pytest.mark.parametrize("kind", LEFT)
def test_xnnpack_leaves(kind, monkeypatch):
    """The kind, put into the table, is not one partition; not put into it, it is."""
    file = Int8File(*LEFT[kind])
    assert kind in file.kinds
    _, partitions, _ = file.run()
    assert partitions == 1
    table = {**int8_support(), kind: Support(version=2, grid="own")}
    monkeypatch.setattr("exporters.tflite.quantized.write.int8_support", lambda: table)
    try:
        _, partitions, outside = Int8File(*LEFT[kind], every=True).run()
    except (RuntimeError, ValueError):
        return
    assert (partitions, outside) != (1, 0)
