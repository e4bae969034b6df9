"""A saved Core ML program as plain data: what `read_program` makes and `execute` runs. Numpy only.

Values have the names of the file. A constant is the Python or numpy value itself. Arrays of floats are always
float32 here (every float16 number is a float32 number); `Value.dtype` keeps the type that the file declares,
and `execute` rounds to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mocovit_deploy.artifacts.artifact import Array

Operand = str | tuple[str, ...]
"""The name of a value, or a tuple of names for a parameter that takes several values (as of `concat`)."""

Constant = Array | str | bool | int
"""A single float of the file is a zero-dimensional array, a single integer an `int`."""


@dataclass(frozen=True)
class Value:
    """A tensor: the result of an operation, or an input of the program."""

    name: str
    dtype: str
    """As MIL spells it: "fp16", "fp32", "int32", "bool", ..."""
    shape: tuple[int | None, ...]
    """None if the dimension is known only when the program runs."""


@dataclass(frozen=True)
class Operation:
    """One step: `outputs = kind(**operands)`, with MIL's own names for the kind and its parameters."""

    kind: str
    operands: Mapping[str, Operand]
    outputs: tuple[Value, ...]

    @property
    def name(self) -> str:
        """The name of its first output, which names the operation in messages."""
        return self.outputs[0].name if self.outputs else "(no output)"

    def reads(self) -> tuple[str, ...]:
        """The names of all values that the operation takes."""
        names: list[str] = []
        for operand in self.operands.values():
            names += (operand,) if isinstance(operand, str) else operand
        return tuple(names)


@dataclass(frozen=True)
class Program:
    """Operations in order. Control flow is one operation here, without semantics: it cannot be executed."""

    inputs: tuple[Value, ...]
    outputs: tuple[str, ...]
    operations: tuple[Operation, ...]
    constants: Mapping[str, Constant]
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The file's user-defined metadata."""
    whole: frozenset[str] = frozenset()
    """The names of the constants that the file stores in whole numbers and a scale."""

    @property
    def arithmetic(self) -> str:
        """ "fp16" when an operation other than a cast makes float16 values, else "fp32"."""
        halves = (
            value.dtype == "fp16"
            for operation in self.operations
            if operation.kind != "cast"
            for value in operation.outputs
        )
        return "fp16" if any(halves) else "fp32"

    @property
    def is_int8(self) -> bool:
        """True if any value is rounded to 8 bits."""
        return any(operation.kind == "quantize" for operation in self.operations)
