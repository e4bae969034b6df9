"""Exact rewrites of a captured graph. Each pass is one module; `PASSES` lists them in the order they run."""

PASSES = ("drop_noops", "fold_batchnorm", "fold_normalization", "merge_branches", "fold_scale")

HALF_REWRITES = (
    "mocovit_deploy.passes.separate_denominator",
    "mocovit_deploy.passes.bound_linear_attention",
)
"""Modules of the rewrites that files in half precision get after the passes, to keep values within its
range."""
