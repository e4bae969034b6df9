"""Small members of timm's families, by seed: one or two of every module of timm that defines networks."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from mocovit_deploy.models.timm import import_timm

SIZES = (64, 96, 128, 160, 224, 256)
CANDIDATES = 8
"""Members looked at in each family, the smallest of which are taken."""
MOST_PARAMETERS = 40_000_000


@dataclass(frozen=True)
class Member:
    name: str
    size: int
    """The smallest of `SIZES` that it runs at."""
    parameters: int


def families() -> tuple[str, ...]:
    return tuple(sorted(import_timm().list_modules()))


def members(family: str, seed: int, count: int) -> list[Member]:
    """The `count` smallest of some networks of a family, those that cannot be built on their own left out."""
    timm = import_timm()
    known = timm.list_models(module=family)
    chosen = Random(f"{family} {seed}").sample(known, min(CANDIDATES, len(known)))
    found = []
    for name in chosen:
        try:
            with torch.device("meta"):
                network = timm.create_model(name)
        except Exception:  # noqa: BLE001, S112 - needs something that is not installed, or cannot be counted
            continue
        found.append((sum(one.numel() for one in network.parameters()), name))
    small = [(parameters, name) for parameters, name in sorted(found) if parameters <= MOST_PARAMETERS]
    return [Member(name, size, n) for n, name in small[:count] if (size := _least_size(timm, name))]


def _least_size(timm: Any, name: str) -> int | None:
    for size in SIZES:
        try:
            fixed = timm.get_pretrained_cfg(name).fixed_input_size
            with torch.device("meta"), torch.no_grad():
                network = timm.create_model(name, **({"img_size": size} if fixed else {})).eval()
                network(torch.zeros(1, 3, size, size))
        except Exception:  # noqa: BLE001, S112 - this size does not fit
            continue
        return size
    return None
