"""Values that do not fit into half precision stay in float32 in an fp16 file (`graph/fp16_range.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def fits(wide: Mapping[str, float]) -> Callable[[Any], bool]:
    """coremltools' selector: may this MIL operation be computed in fp16? Its operands count as well."""

    def selected(operation: Any) -> bool:
        operands = [
            v for value in operation.inputs.values() for v in (value if _several(value) else (value,))
        ]
        return not any(value.name in wide for value in (*operation.outputs, *operands))

    return selected


def overflow_note(wide: Mapping[str, float]) -> str:
    """What a user of the file should know."""
    return f"{len(wide)} values stay in fp32: they reach {max(wide.values()):.1e}, and fp16 ends at 65504"


def _several(value: Any) -> bool:
    return isinstance(value, list | tuple)
