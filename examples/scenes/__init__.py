"""Scenes of several digits: detectors and segmenters trained on them, and what each exported file loses."""
