"""Options of a network that leave each other without effect. The command line and contracts refuse them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mocovit_deploy.spec import ModelSpec

Spelling = Callable[[str], str]
"""How a field's name is written where the user gave it: "num_classes" as "--num-classes"."""


def contradiction(model: ModelSpec, of_classes: Sequence[str], spelled: Spelling) -> str | None:
    """What is wrong with the first options of `model` that contradict each other; None if none do.

    `of_classes` are the names of other options given that need a network's classes, as in "labels".
    """
    names = [name for name, _ in model.arguments]
    counted = model.num_classes is not None and model.checkpoint is None
    needing = [*(["num_classes"] if counted else []), *of_classes]
    if model.prefer_ema and model.checkpoint is None:
        ema, checkpoint = map(spelled, ("prefer_ema", "checkpoint"))
        return f"{ema} chooses among the weights of a {checkpoint}; give both, or leave {ema} out"
    if model.unsafe_pickle and model.checkpoint is None and not model.name.endswith(".pt2"):
        pickle, checkpoint = map(spelled, ("unsafe_pickle", "checkpoint"))
        return f"{pickle} reads a {checkpoint} or a .pt2 file; give one, or leave {pickle} out"
    if model.features and needing:
        return f"{spelled('features')} leaves out the head with the classes; leave out {spelled(needing[0])}"
    if model.pretrained and model.checkpoint is not None:
        return f"{spelled('pretrained')} and {spelled('checkpoint')} both give the weights; leave one out"
    if twice := next((name for name in names if names.count(name) > 1), None):
        return f"{spelled('model_arg')} {twice} is given twice"
    if model.num_classes is not None and "num_classes" in names:
        argument = f"{spelled('model_arg')} num_classes"
        return f"{spelled('num_classes')} and {argument} are both given; leave one out"
    return None
