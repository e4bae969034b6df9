"""Rewrites of a graph for TFLite's runtimes, one in each module; `choose` lists those for a recipe.

Each is a pass: a function from a graph to a `PassResult`, exact in float64 and proven as all passes are.
Which of them save instructions depends on arithmetic and runtime (`measured.toml`).
"""
