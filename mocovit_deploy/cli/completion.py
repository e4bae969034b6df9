"""The values of the options of mocovit-export and mocovit-parity, for shells that complete them.

    eval "$(mocovit-export --completion bash)"      in ~/.bashrc
    eval "$(mocovit-export --completion zsh)"       in ~/.zshrc, after compinit
    mocovit-export --completion fish > ~/.config/fish/completions/mocovit-export.fish

Those of mocovit-bench are in benchmarks/cli/completion.py.
"""

from __future__ import annotations

from mocovit_deploy.choices import BOXES, DEVICES, FORMATS, RUNTIMES, TARGETS
from mocovit_deploy.models.detection import NAMES as DETECTORS
from mocovit_deploy.models.mocovit import NAMES as MOCOVITS
from mocovit_deploy.models.segmentation import NAMES as SEGMENTERS
from mocovit_deploy.passes import PASSES
from mocovit_deploy.quantization.recipes import RECIPES
from mocovit_deploy.spec import AUTO, COLOUR_ORDERS, CONVERTERS, LAYOUTS, RANGE_RULES
from mocovit_deploy.terminal.completion import FILES, Values

VALUES: Values = {
    "format": FORMATS,
    "precision": (*(recipe.name for recipe in RECIPES), AUTO),
    "model": (*MOCOVITS, *SEGMENTERS, *DETECTORS),
    "boxes": BOXES,
    "layout": LAYOUTS,
    "converter": CONVERTERS,
    "ranges": RANGE_RULES,
    "colour_order": COLOUR_ORDERS,
    "dynamic": ("batch",),
    "device": DEVICES,
    "runtime": RUNTIMES,
    "target": TARGETS,
    "measure": TARGETS,
    "without": PASSES,
    **dict.fromkeys(("config", "calibration", "data", "sweep"), FILES),
}
