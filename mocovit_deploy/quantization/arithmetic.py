"""What a format is told to choose the arithmetic of every operator of a mixed file by. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class ArithmeticChoice:
    """How the operators of one file are divided between int8 and float.

    Operators are numbered as in the float file that the mixed one is made from.
    """

    everything: bool = False
    """Whatever the runtime has an int8 kernel for is int8: the file that int8 costs are counted on."""
    nothing: bool = False
    """No operator is int8: the file that float costs are counted on."""
    careful: bool = False
    """Leave normalizations and products of two activations in float."""
    int8_instructions: Mapping[int, float] = field(default_factory=dict)
    """What an operator was counted to take in int8; one that is absent is estimated."""
    float_instructions: Mapping[int, float] = field(default_factory=dict)
    """The same in the float arithmetic of the file."""
    noise: Mapping[str, float] = field(default_factory=dict)
    """By operation of the graph: what int8 adds to its value, relative to the median of all operations."""
    noise_price: float = 0.0
    """Instructions that one unit of noise is worth."""

    @property
    def is_counted(self) -> bool:
        """Were instructions counted, or are all of them estimated?"""
        return bool(self.int8_instructions and self.float_instructions)
