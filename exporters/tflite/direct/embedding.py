"""Embeddings: rows of a table by index.

ATen       embedding
TFLite     GATHER with int32 or int64 indices
XNNPACK    never takes GATHER; it is one operator at the front of the network

    weight (V, D), indices (...)     (..., D)
"""

from __future__ import annotations

from typing import Any

from exporters.tflite.direct.axes import Value
from exporters.tflite.direct.slices import gathered
from exporters.tflite.direct.writer import Operations, Writer, aten


def embedding(w: Writer, weight: Value, numbers: Value, *_: Any) -> Value:
    return gathered(w, weight, 0, numbers)


OPERATIONS: Operations = {aten.embedding.default: embedding}
