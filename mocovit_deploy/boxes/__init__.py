"""Boxes of a detector: anchors, what its outputs mean in them, and which boxes are kept. Numpy only."""
