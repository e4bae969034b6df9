"""Exact rewrites of a captured graph. One pass is one file; `PASSES` is the pipeline, in order."""

PASSES = ("drop_noops", "fold_batchnorm", "merge_branches", "fold_scale")
