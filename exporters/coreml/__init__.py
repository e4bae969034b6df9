"""Core ML: write an `.mlpackage` from a captured graph, and run a saved one on any system.

write.py       export()        coremltools.convert, float32 or float16
read.py                        the saved file as plain data (program.py)
execute.py                     that program in numpy, operation by operation (semantics/)
predictor.py   load()          the two together
native.py      load_native()   Core ML itself, on macOS
"""

from exporters.coreml.execute import NotExecutable
from exporters.coreml.native import load_native
from exporters.coreml.predictor import load
from exporters.coreml.write import PRECISIONS, export

SUFFIX = ".mlpackage"
RECIPES = tuple(PRECISIONS)
FREE_BATCH = False
"""The batch of a file is fixed."""

__all__ = ["FREE_BATCH", "RECIPES", "SUFFIX", "NotExecutable", "export", "load", "load_native"]
