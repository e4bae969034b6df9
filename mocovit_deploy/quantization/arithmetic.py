"""How a format chooses between int8 and float for each operator of a mixed file, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ArithmeticChoice:
    """How the operators of one file are divided between int8 and float.

    Operators have the numbers that they have in the float file from which the mixed file is made.
    """

    everything: bool = False
    """Every operator with an int8 kernel is in int8. The int8 costs are counted on such a file."""
    nothing: bool = False
    """No operator is in int8. The float costs are counted on such a file."""
    careful: bool = False
    """Leave normalizations and products of two activations in float."""
    int8_instructions: Mapping[int, float] = field(default_factory=dict)
    """The counted instructions of each operator in int8. Operators that are absent are estimated."""
    float_instructions: Mapping[int, float] = field(default_factory=dict)
    """The same in the float arithmetic of the file."""
    noise: Mapping[str, float] = field(default_factory=dict)
    """By operation of the graph, the noise that int8 adds to its value, relative to the median
    operation's."""
    noise_price: float = 0.0
    """Instructions that one unit of noise is worth."""

    @property
    def is_counted(self) -> bool:
        """Whether instructions were counted; else all of them are estimated."""
        return bool(self.int8_instructions and self.float_instructions)
