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
    assert kinds.count("BATCH_MATMUL") == 2
    assert not {"GATHER", "GATHER_ND"} & set(kinds)


def test_several_images():
    agree(Resizing({"scale_factor": 2}), torch.randn(2, 3, 6, 4))


def test_only_the_small_image_is_transposed():
    kinds = agree(Resizing({"scale_factor": 4}), torch.randn(1, 3, 8, 12))
    last = len(kinds) - 1 - kinds[::-1].index("BATCH_MATMUL")
    assert kinds[last:] == ["BATCH_MATMUL", "RESHAPE", "CONV_2D", "TRANSPOSE"]  # the output is NCHW


def test_the_matrix_is_that_of_pytorch():
    x = torch.randn(1, 1, 7, 1, dtype=torch.float64)
    found = bicubic_matrix(7, 28, False) @ x[0, 0]
    assert torch.allclose(found, F.interpolate(x, (28, 1), mode="bicubic")[0, 0], atol=1e-12)
    assert torch.allclose(found.sum(0) / 28, x.mean(2)[0, 0], atol=0.5)


@pytest.mark.parametrize("half", [False, True])
def test_no_product_of_an_fp16_file_reads_a_constant_itself(half):
    """XNNPACK refuses it on ARM, which no runtime here would show."""
    image = torch.randn(1, 3, 8, 12)
    kinds = agree(Resizing({"scale_factor": 4}), image, half=half)
    plain = agree(Resizing({"scale_factor": 4}), image)
    assert kinds.count("RESHAPE") - plain.count("RESHAPE") == 2 * half
    wanted = torch.randn(1, 4, 5)
    kinds = agree(lambda x: torch.matmul(wanted, x.relu()), torch.randn(1, 5, 6), half=half)
    assert ("RESHAPE" in kinds) == half
