"""Where a file is executed. A target is a module with `measure` and `run_golden`; a new one is a file and a word."""

TARGETS = ("host", "emulated")
