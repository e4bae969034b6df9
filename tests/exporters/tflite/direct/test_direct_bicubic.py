"""Bicubic resizing in TFLite files: two products that XNNPACK takes, equal to PyTorch's."""

import pytest
import torch
import torch.nn.functional as F
from direct_files import agree
from torch import nn

from mocovit_deploy.graph.resize import bicubic_matrix

SAID = {
    "four times": {"scale_factor": 4},
    "twice": {"scale_factor": 2},
    "to a size": {"size": (20, 21)},
    "smaller in one direction": {"size": (3, 50)},
    "no whole factor": {"scale_factor": 1.7},
    "corner to corner": {"size": (20, 30), "align_corners": True},
}


class Resizing(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how, self.before, self.after = how, nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 5, 1)

    def forward(self, x):
        return self.after(F.interpolate(self.before(x), mode="bicubic", **self.how))


@pytest.mark.parametrize("name", SAID)
def test_it_is_two_products_in_one_partition(name):
    kinds = agree(Resizing(SAID[name]), torch.randn(1, 3, 8, 12))
    assert kinds.count("FULLY_CONNECTED") == 2
    assert "BATCH_MATMUL" not in kinds, "in half precision XNNPACK refuses one with a constant"
    assert not {"GATHER", "GATHER_ND"} & set(kinds)


def test_several_images():
    agree(Resizing({"scale_factor": 2}), torch.randn(2, 3, 6, 4))


def test_each_product_moves_the_image_once():
    kinds = agree(Resizing({"scale_factor": 4}), torch.randn(1, 3, 8, 12))
    assert kinds[1:-2].count("TRANSPOSE") == 3  # before each product and after the last
    assert kinds[-2:] == ["CONV_2D", "TRANSPOSE"]  # the output is NCHW


def test_the_matrix_is_that_of_pytorch():
    x = torch.randn(1, 1, 7, 1, dtype=torch.float64)
    found = bicubic_matrix(7, 28, False) @ x[0, 0]
    assert torch.allclose(found, F.interpolate(x, (28, 1), mode="bicubic")[0, 0], atol=1e-12)
    assert torch.allclose(found.sum(0) / 28, x.mean(2)[0, 0], atol=0.5)
