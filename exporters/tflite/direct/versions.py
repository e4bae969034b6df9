"""The version of each operator: the lowest that supports its form, so that old runtimes can run it.

Source: tflite/tools/versioning/op_version.cc of LiteRT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def version_of(
    kind: str, dtypes: Sequence[str], ranks: Sequence[int], options: Mapping[str, Any], *, broadcast: bool
) -> int:
    """The version of an operator of this kind, for the dtypes and ranks of its inputs.

    `options` are named as in the schema. `broadcast` is true if the shapes of its first two inputs differ.
    """
    first, rank = dtypes[0], max(ranks, default=0)
    match kind:
        case "FULLY_CONNECTED":
            return 5 if options.get("keepNumDims") else 1
        case "DEPTHWISE_CONV_2D":
            dilated = options["dilationHFactor"] != 1 or options["dilationWFactor"] != 1
            return 2 if dilated else 1
        case "TRANSPOSE_CONV":
            return 3 if len(dtypes) == 4 else 1
        case "TRANSPOSE":
            return 6 if rank > 5 else 4 if rank > 4 else 3 if first == "bool" else 1
        case "SLICE":
            return 5 if rank > 4 else 1
        case "PAD":
            return 5 if first == "bool" else 4 if rank > 4 else 1
        case "MAXIMUM" | "MINIMUM":
            return 3 if broadcast and rank > 4 else 1
        case "SUB":
            return 4 if first == "int64" else 3 if broadcast and rank > 4 else 1
        case "DIV":
            return 2 if broadcast and rank > 4 else 1
        case "ADD":
            return 4 if first == "int64" else 1
        case "MUL":
            return 5 if first == "int64" else 1
        case "DEQUANTIZE":
            return 3 if first == "float16" else 1
        case "RESIZE_BILINEAR" | "RESIZE_NEAREST_NEIGHBOR":
            aligned = options.get("alignCorners") and kind == "RESIZE_NEAREST_NEIGHBOR"
            return 3 if options.get("halfPixelCenters") or aligned else 1
        case "BROADCAST_TO" | "FLOOR_DIV" if kind == "BROADCAST_TO" or first == "float32":
            return 2
        case "GATHER":
            return 5 if options.get("batchDims") else 3 if first == "bool" else 1
        case "ABS":
            return 5 if first == "int32" else 1
        case "SIGN":
            return 2 if first == "int32" else 1
    return 1
