"""What the direct writer cannot write, said so that a user finds it in the network."""

from __future__ import annotations


class UnsupportedError(Exception):
    """An operation, or a form of one, that has no operator here; the message says which form.

    `operation` is the ATen name and `module` the torch module; the walk over the graph fills them in.
    """

    def __init__(self, why: str, operation: str = "", module: str = "") -> None:
        super().__init__(why)
        self.why, self.operation, self.module = why, operation, module

    def __str__(self) -> str:
        return f"{self.operation} of {self.module or 'the network'}: {self.why}"
