"""Store weights in fewer bits, with coremltools.optimize. The system widens them before it computes.

    weight_only_wi8   int8, a scale for each output channel, zero point 0: constexpr_affine_dequantize
    weight_only_wp6   6 bits, an index into 64 numbers found by k-means for each layer: constexpr_lut_to_dense

Weights of fewer than `LEAST` numbers stay as they are, because they would save nothing. The passes are those
of `linear_quantize_weights` and `palettize_weights`. Those functions themselves would read the file and
convert it once more.
"""

from __future__ import annotations

from typing import Any

from mocovit_deploy.extras import needs_extra

LEAST = 512
PALETTE_BITS = 6


def compress_weights(pipeline: Any, weights: str) -> None:
    """Append to a coremltools pipeline the pass for `weights`, the `weights` of a `Recipe`."""
    optimize = needs_extra("coremltools.optimize.coreml", "coreml")
    if weights == "int8":
        name = "compression::linear_quantize_weights"
        how = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=LEAST)
    else:
        name = "compression::palettize_weights"
        how = optimize.OpPalettizerConfig(mode="kmeans", nbits=PALETTE_BITS, weight_threshold=LEAST)
    pipeline.append_pass(name)
    pipeline.set_options(
        name, {"config": optimize.OptimizationConfig(global_config=how), "joint_compression": False}
    )
