"""The values a user chooses from, as plain tuples, so that --help and usage errors import nothing heavy.

A format or a target is added by its module and its name here.
"""

from __future__ import annotations

from collections.abc import Mapping

FORMATS = ("onnx", "coreml", "tflite")
"""Names of the modules in `exporters/`, in the order files are written."""

TARGETS = ("host", "adb", "emulated")
"""Names of the modules in `benchmarks/targets/`. The first is the default."""

HOST = TARGETS[0]

RUNTIMES_OF: Mapping[str, tuple[str, ...]] = {"tflite": ("litert", "tflite"), "onnx": ("onnxruntime",)}
"""The runtimes that targets execute each format with. The first of a format is its default.

litert is LiteRT's C API (the reference), tflite the TFLite C API of the 1.x runtimes, onnxruntime the C API
of ONNX Runtime.
"""

RUNTIMES = tuple(runtime for runtimes in RUNTIMES_OF.values() for runtime in runtimes)

CPUS = ("cortex-a76", "cortex-a55", "cortex-a53")
"""Cores that the emulator imitates. The first is the default. Runtimes choose their kernels by the core.

QEMU's 'max' is left out on purpose: it has SME2 and i8mm, so kernels would run that no phone of this class
has.
"""

DEVICES = ("snapdragon_855",)
"""Devices that milliseconds are modelled for: names of the files in `benchmarks/devices/`, without suffix."""

STRIDES = (8, 16, 32)
"""The default strides of --features: those of the maps that detectors and segmenters read."""

BOXES = ("raw", "decoded", "suppressed")
"""Outputs of a detector: logits and locations; probabilities and boxes; or those of the first, and beside
each file a second one that suppresses boxes by the format's own operator. The first is the default."""

SHELLS = ("bash", "zsh", "fish")
"""Shells that --completion prints a script for."""

MAX_THREADS = 64
"""The most threads that a measured runtime may be given."""
