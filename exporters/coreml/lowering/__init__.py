"""Rewrites of the captured graph for Core ML: operators that coremltools cannot translate, by others."""
