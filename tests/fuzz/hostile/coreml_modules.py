"""Importing this imports what reading a package needs, so that every fork has it."""

from exporters.coreml.toolchain import coremltools

coremltools()

import coremltools.converters.mil.frontend.milproto.load  # noqa: E402
