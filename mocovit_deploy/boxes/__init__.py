"""Boxes of a detector: its anchors, its outputs into boxes, and the choice of boxes to keep. Numpy only."""
