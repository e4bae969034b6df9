"""Values that do not fit into half precision stay in float32 in an fp16 file (`graph/fp16_range.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def fits(wide: Mapping[str, float]) -> Callable[[Any], bool]:
    """coremltools' selector for fp16: true for an operation with no operand or result among `wide`."""

    def selected(operation: Any) -> bool:
        operands = [
            v for value in operation.inputs.values() for v in (value if _several(value) else (value,))
        ]
        return not any(value.name in wide for value in (*operation.outputs, *operands))

    return selected


def overflow_note(wide: Mapping[str, float]) -> str:
    """The file's note on `wide`, largest magnitudes by the names of values that stay in fp32."""
    return f"{len(wide)} values stay in fp32: they reach {max(wide.values()):.1e}, and fp16 ends at 65504"


def _several(value: Any) -> bool:
    return isinstance(value, list | tuple)
