import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from mocovit_deploy.graph.edit import aten
from mocovit_deploy.graph.resize import BICUBIC, bicubic_matrices


class Resized(torch.nn.Module):
    def __init__(self, align_corners, form):
        super().__init__()
        self.align_corners, self.form = align_corners, form

    def forward(self, x):
        if self.form == "default":
            return aten.upsample_bicubic2d.default(x, [9, 20], self.align_corners)
        return torch.nn.functional.interpolate(x, (9, 20), mode="bicubic", align_corners=self.align_corners)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("form", ["default", "vec"])
def test_two_products_are_the_resize_in_either_form_of_the_call(align_corners, form):
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    network = Resized(align_corners, form)
    graph = torch.export.export(network, (x,)).module()
    (node,) = (one for one in graph.graph.nodes if one.target in BICUBIC)
    assert str(node.target).endswith(form)
    rows, columns = bicubic_matrices(node)
    assert torch.allclose(rows @ x @ columns.T, network(x), rtol=0, atol=1e-12)
