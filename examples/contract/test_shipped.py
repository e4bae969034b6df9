"""An example of tests for your own suite, on the files that you ship. The tests do not need torch:

    mocovit-export --model mocovit_0_5 --num-classes 10 --image-size 96 --format onnx \\
        --checkpoint examples/digits/mocovit_0_5_96.safetensors
    pytest examples/contract
"""

import os
from pathlib import Path

from mocovit_deploy.testing import assert_parity

SHIPPED = Path(os.environ.get("SHIPPED", "build"))


def test_the_file_computes_what_the_network_computes():
    assert_parity(SHIPPED / "mocovit_0_5_96_fp32.onnx", max_error=1e-5, min_top1_agreement=1.0)


def test_the_file_is_as_accurate_as_it_was():
    assert_parity(
        SHIPPED / "mocovit_0_5_96_fp32.onnx",
        min_accuracy=0.92,
        data="examples.digits.data:held_out_pictures",
        images=200,
    )


def test_the_file_stays_small():
    assert_parity(SHIPPED / "mocovit_0_5_96_fp32.onnx", max_size_bytes=6_000_000, max_operators=300)
