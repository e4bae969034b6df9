"""The words a user chooses from, as plain tuples: --help and mistakes in words need no other module.

A format or a target is added by its module and its word here.
"""

from __future__ import annotations

from collections.abc import Mapping

FORMATS = ("onnx", "coreml", "tflite")
"""Names of the modules in `exporters/`, in the order files are written."""

TARGETS = ("host", "adb", "emulated")
"""Names of the modules in `benchmarks/targets/`; the first is the one taken when none is named."""

HOST = TARGETS[0]

RUNTIMES_OF: Mapping[str, tuple[str, ...]] = {"tflite": ("litert", "tflite"), "onnx": ("onnxruntime",)}
"""The runtimes that targets execute each format with; the first is the one taken when none is named.

LiteRT's C API (the reference), the TFLite C API of the 1.x runtimes, ONNX Runtime's C API.
"""

RUNTIMES = tuple(runtime for runtimes in RUNTIMES_OF.values() for runtime in runtimes)

CPUS = ("cortex-a76", "cortex-a55", "cortex-a53")
"""Cores the emulator plays; runtimes choose their kernels by them. The first is the one taken when none is
named. 'max' is left out on purpose: it has SME2 and i8mm, so kernels would run that no phone of this class
has."""

DEVICES = ("snapdragon_855",)
"""Devices that milliseconds are modelled for: names of the files in `benchmarks/devices/`."""

MAX_THREADS = 64
"""Of a runtime that is measured."""
