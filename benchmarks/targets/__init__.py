"""Where a file is executed. A target is a module with `measure` and `run_golden`.

To add one: a module in this folder, its name in `TARGETS`, and in `benchmarks/cli/commands.py` the
options that only it understands.
"""

TARGETS = ("host", "adb", "emulated")
