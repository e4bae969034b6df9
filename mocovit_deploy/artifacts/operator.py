"""One operator of a file, as plain data. Formats list them without running the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

ROOT_MODULE = "(network)"
"""The module of an operation that the network's own forward calls, outside any submodule."""


@dataclass(frozen=True)
class FileOperator:
    """One operator of a file."""

    index: int
    """Its place in the file, counted from 0."""
    kind: str
    """The format's name for it: "CONV_2D" in TFLite, "Conv" in ONNX, "conv" in Core ML."""
    where: str
    """The torch module it came from, as in "stages.0.conv"; the file's own name if that is unknown."""
    dtype: str = ""
    """Element type of its first output; empty if the file does not tell."""
    name: str = ""
    """The file's own name for it; empty if it has none."""
    output: str = ""
    """The name of its first output."""
    half_weights: bool = False
    """Whether it reads constants that the file holds in half precision (TFLite)."""
    weight_bytes: int = 0
    """Bytes of the constants that it is the first to read; also 0 if the format does not tell."""
    constant: bool = False
    """Whether it only holds a constant, as ONNX's Constant does."""


def by_kind(operators: Iterable[FileOperator]) -> dict[str, int]:
    """The number of operators of each kind, most frequent first, then by name."""
    counts = Counter(operator.kind for operator in operators)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
