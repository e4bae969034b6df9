"""File formats. One format is one module that satisfies `mocovit_deploy.formats.Format`.

To add one: a module here, its name in `mocovit_deploy.choices.FORMATS`, and its line below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporters import coreml, onnx, tflite
    from mocovit_deploy.formats import Format

    # mypy holds each format to the protocol here.
    _onnx: Format = onnx
    _coreml: Format = coreml
    _tflite: Format = tflite
