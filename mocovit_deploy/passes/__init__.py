"""Exact rewrites of a captured graph. One pass is one file; `PASSES` is the pipeline, in order."""

PASSES = ("drop_noops", "fold_batchnorm", "fold_normalization", "merge_branches", "fold_scale")

HALF_REWRITES = (
    "mocovit_deploy.passes.separate_denominator",
    "mocovit_deploy.passes.bound_linear_attention",
)
"""Modules of what files in half precision get after those: nothing in them may leave its range."""
