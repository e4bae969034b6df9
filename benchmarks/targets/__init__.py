"""Where a file is executed. A target is a module with `measure` and `run_golden`."""

TARGETS = ("host", "emulated")
