"""Rewrites of a graph for ONNX Runtime's kernels on ARM cores, one a file; each is proven as passes are."""
