"""Rewrites of the captured graph for Core ML: what coremltools cannot translate, in what it can."""
