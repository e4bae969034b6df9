"""Mobile vision networks from PyTorch to verified ONNX, Core ML and TFLite files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mocovit_deploy.api import Export, ExportedFile, Measurement, check, export, measure
    from mocovit_deploy.passes.result import PassResult
    from mocovit_deploy.passes.run import reparameterize

__all__ = [
    "Export",
    "ExportedFile",
    "Measurement",
    "PassResult",
    "check",
    "export",
    "measure",
    "reparameterize",
]

_HOMES = {
    **dict.fromkeys(
        ("Export", "ExportedFile", "Measurement", "check", "export", "measure"), "mocovit_deploy.api"
    ),
    "PassResult": "mocovit_deploy.passes.result",
    "reparameterize": "mocovit_deploy.passes.run",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that importing the package loads nothing heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mocovit_deploy' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
