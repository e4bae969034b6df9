"""The error for operations that the direct writer cannot write; it names their place in the network."""

from __future__ import annotations


class UnsupportedError(Exception):
    """The direct writer has no operator for an operation, or for a form of it; `why` says which form.

    `operation` is the ATen name and `module` the torch module. write.py fills them in.
    """

    def __init__(self, why: str, operation: str = "", module: str = "") -> None:
        super().__init__(why)
        self.why, self.operation, self.module = why, operation, module

    def __str__(self) -> str:
        return f"{self.operation} of {self.module or 'the network'}: {self.why}"
