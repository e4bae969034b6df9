"""What a file's surgeon offers, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mocovit_deploy.artifacts.artifact import Array


@dataclass
class Layer:
    """A convolution or linear layer in a file. Weights as PyTorch has them: (O, I, kH, kW) or (O, I)."""

    mark: str
    weight: Array
    bias: Array | None
    handle: Any
    """Whatever the surgeon finds it by again."""


@dataclass
class Constant:
    """Numbers stored in a file and read by one operation of it, as the file has them."""

    mark: str
    array: Array
    handle: Any


class Surgeon(Protocol):
    """A file, cut open."""

    def layers(self) -> list[Layer]: ...

    def put_back(self, layer: Layer) -> None:
        """Write the layer's weight and bias into the file; nothing else that shared them changes."""

    def constants(self) -> list[Constant]:
        """Every array of floating point numbers that a marked operation reads, weights among them."""

    def store(self, constant: Constant) -> None:
        """Write a constant's numbers into the file; no other reader of them changes."""

    def relus(self) -> list[str]:
        """The marks of the ReLUs, also of those that are part of another operator."""

    def without_relu(self, mark: str) -> None: ...

    def swap_outputs(self, first: str, second: str) -> None:
        """Each of two outputs gets the other's name."""

    def save(self, path: Path) -> None: ...


def contiguous(array: Array) -> Array:
    return np.ascontiguousarray(array)
