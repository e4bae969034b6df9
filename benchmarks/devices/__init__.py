"""Phones as data: one TOML file each.

device        read such a file        latency_fit   the factor from cycle bounds to milliseconds
wanted        which phone a command means
"""
