"""What a runtime's profiler tells, operator by operator.

profile   what ran, with times or counts          xnnpack   what XNNPACK takes, and why not
"""
