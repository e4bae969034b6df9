"""Rewrites of a graph for TFLite's runtimes, one a file; `choose` says which of them a file gets.

Each is a pass: a function from a graph to a `PassResult`, exact in float64 and proven as passes are. What
pays differs by arithmetic and runtime (`measured.toml`).
"""
