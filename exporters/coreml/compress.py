"""Weights stored in fewer bits, by coremltools.optimize; Core ML widens them before it computes.

    weight_only_wi8   int8, a scale for each output channel, zero point 0: constexpr_affine_dequantize
    weight_only_wp6   6 bits, an index into 64 numbers found by k-means for each layer: constexpr_lut_to_dense

Weights of fewer than `LEAST` numbers stay as they are: compressing them would save nothing.
"""

from __future__ import annotations

from typing import Any

from exporters.coreml.toolchain import quiet_coremltools
from mocovit_deploy.errors import ConversionError, first_line
from mocovit_deploy.extras import needs_extra

LEAST = 512
PALETTE_BITS = 6


def compressed(model: Any, weights: str) -> Any:
    """The model with compressed weights: int8 if `weights` (a `Recipe.weights`) is "int8", else a palette.

    Raises `ConversionError` if coremltools fails, `MissingToolError` if it is not installed.
    """
    optimize = needs_extra("coremltools.optimize.coreml", "coreml")
    try:
        with quiet_coremltools():
            if weights == "int8":
                how = optimize.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=LEAST)
                return optimize.linear_quantize_weights(model, optimize.OptimizationConfig(global_config=how))
            how = optimize.OpPalettizerConfig(mode="kmeans", nbits=PALETTE_BITS, weight_threshold=LEAST)
            return optimize.palettize_weights(model, optimize.OptimizationConfig(global_config=how))
    except Exception as error:
        raise ConversionError(f"coremltools cannot compress the weights: {first_line(error)}") from error
