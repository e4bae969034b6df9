"""ModelSpec -> nn.Module, with its weights and a plain statement of where they came from."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

from torch import nn

from mocovit_deploy.artifact import digest
from mocovit_deploy.errors import unknown_choice
from mocovit_deploy.models import SOURCES
from mocovit_deploy.models.checkpoint import load_checkpoint
from mocovit_deploy.models.seeded import build_seeded
from mocovit_deploy.spec import ModelSpec


@dataclass(frozen=True)
class Network:
    """The original network, in eval mode: what every file is judged against."""

    module: nn.Module
    name: str
    weights: str
    """In words: "random, seed 0", or the checkpoint's name and digest."""
    trained: bool
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]


def load_network(spec: ModelSpec) -> Network:
    """Build the network `spec` names, with its checkpoint, or with seeded random weights and a word on it.

    Raises `UsageError` for an unknown name, an argument it does not take, or a checkpoint that does not fit.
    """
    source = source_of(spec.name)
    module = build_seeded(lambda: source.build(spec), spec.input, spec.seed)
    weights = f"random, seed {spec.seed}"
    if spec.checkpoint is not None:
        load_checkpoint(module, spec.checkpoint)
        weights = f"{spec.checkpoint.name}, sha256 {digest(spec.checkpoint)[:16]}"
    return Network(
        module=module.eval(),
        name=_short(spec.name),
        weights=weights,
        trained=spec.checkpoint is not None,
        input_names=source.INPUT_NAMES,
        output_names=source.OUTPUT_NAMES,
    )


def _short(name: str) -> str:
    """What files are called: "net" for "path/to/file.py:net", "timm_ghostnet_100" for "timm/ghostnet_100"."""
    return name.rpartition(":")[2].replace("/", "_")


def source_of(name: str) -> ModuleType:
    """The source that knows `name`; `UsageError` with the closest names where none does."""
    sources = [importlib.import_module(f"mocovit_deploy.models.{source}") for source in SOURCES]
    for source in sources:
        if source.knows(name):
            return source
    raise unknown_choice("model", name, [known for source in sources for known in source.NAMES])
