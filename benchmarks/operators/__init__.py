"""Operators as a runtime's profiler reports them.

profile   the operators that ran, with times or counts
xnnpack   the operators that XNNPACK takes, and why not the others
"""
