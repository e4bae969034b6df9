"""Find the state dict inside a checkpoint, in the forms that training programs save.

Training scripts save it by itself, or under a usual key beside the optimizer, or twice (the weights and their
running average). Wrapped networks put a prefix before every name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

WEIGHTS = ("state_dict", "model", "model_state_dict", "model_state", "net")
AVERAGED = ("state_dict_ema", "model_ema", "ema", "ema_state_dict", "ema_model")
"""Keys under which the exponential moving average of the weights is saved."""

PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
"""Prefixes that DistributedDataParallel, torch.compile and wrappers of frameworks put before every name."""

COUNTERS = ("total_ops", "total_params")
"""Buffers that the MAC counter `thop` leaves in a network."""


class StateDict(NamedTuple):
    """A state dict that was found in a checkpoint."""

    tensors: dict[str, Tensor]
    """By name."""
    key: str
    """The key it was under in the checkpoint; empty if it is the whole checkpoint."""


def find_state_dict(found: object, prefer_ema: bool) -> StateDict | None:
    """The state dict in the object that was read from a checkpoint; None if there is none.

    The weights are preferred; their average with `prefer_ema`, or if there are no weights.
    """
    if (bare := _as_tensors(found)) is not None:
        return StateDict(bare, "")
    if not isinstance(found, Mapping):
        return None
    for key in (*AVERAGED, *WEIGHTS) if prefer_ema else (*WEIGHTS, *AVERAGED):
        if key in found and (inner := _within(found[key])) is not None:
            return StateDict(inner, key)
    return None


def is_average(key: str) -> bool:
    """Whether averaged weights are saved under `key`."""
    return key in AVERAGED


def _within(value: object) -> dict[str, Tensor] | None:
    """A state dict, or the only one inside a mapping (`{0.9998: {...}}`, `{"module": {...}}`)."""
    if (tensors := _as_tensors(value)) is not None:
        return tensors
    if isinstance(value, Mapping):
        inner = [tensors for one in value.values() if (tensors := _as_tensors(one)) is not None]
        if len(inner) == 1:
            return inner[0]
    return None


def _as_tensors(value: Any) -> dict[str, Tensor] | None:
    if isinstance(value, nn.Module):
        return dict(value.state_dict())
    if not isinstance(value, Mapping) or not value:
        return None
    plain = all(isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items())
    return dict(value) if plain else None


def without_wrappers(given: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """`given` without counters, and without prefixes that all its keys have but not all `wanted` keys."""
    wanted = list(wanted)
    state = {key: value for key, value in given.items() if key.rpartition(".")[2] not in COUNTERS}
    stripped = True
    while stripped and state:
        stripped = False
        for prefix in PREFIXES:
            common = all(key.startswith(prefix) for key in state)
            if common and not all(key.startswith(prefix) for key in wanted):
                state = {key.removeprefix(prefix): value for key, value in state.items()}
                stripped = True
    return state
