"""A small network trained on real images, so that accuracy lost on the way to a phone can be seen."""
