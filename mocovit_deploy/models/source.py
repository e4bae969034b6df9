"""Find the source of a name. Works without torch, so that a wrong name is reported at once."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from mocovit_deploy.errors import UsageError, unknown_choice
from mocovit_deploy.models import SOURCES, WEIGHT_SUFFIXES, Source
from mocovit_deploy.user_functions import functions_in


def source_for(name: str) -> Source:
    """The source that knows `name`. Raises `UsageError` with the closest names if none does."""
    sources = [cast("Source", importlib.import_module(f"mocovit_deploy.models.{one}")) for one in SOURCES]
    for source in sources:
        if source.knows(name):
            return source
    raise _unknown(name, [known for source in sources for known in source.NAMES])


def _unknown(name: str, known: Sequence[str]) -> UsageError:
    """An error that says what is wrong with a name that no source knows."""
    path = Path(name)
    if path.suffix == ".py":
        functions = functions_in(path)
        listed = f"; it has {', '.join(functions)}" if functions else ""
        return UsageError(
            f"{name}: name also the function that makes the network, as in {name}:"
            f"{functions[0] if functions else 'function'}{listed}"
        )
    if path.suffix in (*WEIGHT_SUFFIXES, ".bin", ".ckpt"):
        return UsageError(
            f"{name}: is a file of weights, not a network; give the network as --model file.py:function and "
            f"this file as --checkpoint {name}, or save the whole network with torch.export.save as .pt2"
        )
    if difflib.get_close_matches(name.lower(), known, n=1):
        return unknown_choice("model", name, known)
    from mocovit_deploy.models import timm, torchvision  # late: their lists take torch and seconds

    others = [*timm.named(name), *torchvision.named(name)]
    if others:
        return UsageError(f"unknown model {name!r}; did you mean {' or '.join(others)}?")
    return unknown_choice("model", name, known)
