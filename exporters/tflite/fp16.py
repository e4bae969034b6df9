"""fp16: the mark that lets XNNPACK compute in half precision, and weights stored in half precision."""

from __future__ import annotations

from typing import Any

from exporters.tflite.flatbuffer import model_bytes, read_model, set_metadata
from exporters.tflite.mark import place_of
from mocovit_deploy.extras import needs_extra

KEY = "reduced_precision_support"
VALUE = b"fp16accfp16"
"""The one value that XNNPACK heeds: fp16 operands and sums. "fp16" and "fp16accfp32" have no effect."""


def allow_half(data: bytes) -> bytes:
    """The file with the mark that makes XNNPACK compute in fp16 where the processor can."""
    model = read_model(data)
    mark_half(model)
    return model_bytes(model)


def mark_half(model: Any) -> None:
    """Set the mark in the tables of a file (`ModelT`)."""
    set_metadata(model, KEY, VALUE)


def allows_half(data: bytes) -> bool:
    """True if the file bears the mark. Needs no package."""
    place = place_of(data, KEY)
    return place is not None and data[place] == VALUE


def without_half(data: bytes) -> bytes:
    """A marked file with the mark overwritten by a value that no runtime heeds; nothing else changes."""
    place = place_of(data, KEY)
    assert place is not None, "it bears the mark"
    return data[: place.start] + b"-" * len(VALUE) + data[place.stop :]


def store_half(data: bytes) -> bytes:
    """The file with its weights in fp16, each behind a DEQUANTIZE to fp32, through ai-edge-quantizer."""
    needs_extra("ai_edge_quantizer", "tflite")
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    casting = quantizer.Quantizer(data)
    casting.update_quantization_recipe(
        regex=".*",
        operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
        op_config=qtyping.OpQuantizationConfig(
            weight_tensor_config=qtyping.TensorQuantizationConfig(
                num_bits=16, dtype=qtyping.TensorDataType.FLOAT
            ),
            compute_precision=qtyping.ComputePrecision.FLOAT,
            explicit_dequantize=True,
        ),
        algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
    )
    return bytes(casting.quantize().quantized_model)
