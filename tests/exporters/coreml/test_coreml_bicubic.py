"""Bicubic resizing in Core ML files: two products, proven in float64, and executed from the file."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mocovit_deploy
from exporters.coreml.lowering.bicubic_by_products import bicubic_by_products
from mocovit_deploy.graph.capture import capture
from mocovit_deploy.graph.edit import aten, count_calls
from mocovit_deploy.graph.resize import BICUBIC
from mocovit_deploy.passes.run import run_passes


class Resizing(nn.Module):
    def __init__(self, mode="bicubic"):
        super().__init__()
        self.mode, self.before = mode, nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        return F.interpolate(self.before(x), scale_factor=4, mode=self.mode)


def test_it_is_exact_and_leaves_no_bicubic_resizing():
    x = torch.randn(1, 3, 6, 10)
    graph = capture(Resizing().eval(), [x])
    done = run_passes(graph, (x,), [bicubic_by_products])
    assert count_calls(graph, *BICUBIC) == 1
    assert count_calls(done.graph, *BICUBIC) == 0
    assert count_calls(done.graph, aten.matmul.default) == 2
    (proof,) = done.proofs
    assert proof.error < 1e-13
    assert len(proof.changes) == 1


def test_bilinear_resizing_is_left_alone():
    graph = capture(Resizing("bilinear").eval(), [torch.randn(1, 3, 6, 10)])
    assert not bicubic_by_products(graph).changes


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_file_passes(precision, tmp_path):
    done = mocovit_deploy.export(
        Resizing(), torch.rand(1, 3, 6, 10), formats=("coreml",), precisions=(precision,), output_dir=tmp_path
    )
    done.require_pass()
    assert np.isfinite(done.files[0].max_error)
