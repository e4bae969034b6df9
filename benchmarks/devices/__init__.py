"""Phones as data: one TOML file each.

device        reading such a file     latency_fit   the factor from cycle bounds to milliseconds
wanted        the phone of a command
"""
