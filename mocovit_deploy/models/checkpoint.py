"""Load state dicts from .pt, .pth and .safetensors files into a network, completely or not at all."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mocovit_deploy.errors import UsageError, first_line
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.models import WEIGHT_SUFFIXES
from mocovit_deploy.models.layouts import layout_of, renamed
from mocovit_deploy.models.statedict import (
    AVERAGED,
    StateDict,
    find_state_dict,
    is_average,
    without_wrappers,
)
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.untrusted.read import LARGEST_FILE, size_of
from mocovit_deploy.untrusted.zip import Damaged, open_stored_zip

_ZIP = b"PK\3\4"


def load_checkpoint(
    module: nn.Module, path: Path, *, prefer_ema: bool = False, unsafe_pickle: bool = False
) -> str:
    """Load every tensor of the state dict in `path` into `module`.

    Returns text to append to the file's name: the key that the weights were under, and the official layout
    that their names were translated from. Raises `UsageError` if a tensor of either does not fit the other;
    then nothing is loaded, and the error's details list every key that is missing, unexpected or of another
    shape, and every tensor with NaN or infinity in it. Pickled code runs only with `unsafe_pickle`.
    """
    wanted = module.state_dict()
    read, where = read_state_dict(path, prefer_ema, unsafe_pickle)
    given = without_wrappers(read, wanted)
    layout = layout_of(given, wanted)
    if layout is not None:
        given = renamed(given, layout)
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    missing = wanted.keys() - given.keys() - counters
    # Only values of tensors of the right shape are read: a file can declare other tensors of any size.
    fitting = {key: given[key] for key in wanted if key in given and given[key].shape == wanted[key].shape}
    problems = {
        "missing": [f"missing {key} {_shape(wanted[key])}" for key in wanted if key in missing],
        "unexpected": [
            f"unexpected {printable(key)} {_shape(given[key])}" for key in given if key not in wanted
        ],
        "of another shape": [
            f"{key} has shape {_shape(given[key])}, but the network needs {_shape(wanted[key])}"
            for key in wanted
            if key in given and key not in fitting
        ],
        "not plain": [
            f"{key} is not a plain tensor of real numbers" for key in fitting if not _is_plain(fitting[key])
        ],
        "not finite": [
            f"{key} holds NaN or infinity"
            for key, value in fitting.items()
            if _is_plain(value) and value.is_floating_point() and not bool(value.isfinite().all())
        ],
    }
    if any(problems.values()):
        counts = ", ".join(f"{len(listed)} {kind}" for kind, listed in problems.items() if listed)
        named = f" (names translated from {layout.name})" if layout is not None else ""
        raise UsageError(
            f"{path}: does not fit the network{named}: {counts}; nothing was loaded",
            [line for listed in problems.values() for line in listed],
        )
    module.load_state_dict({**{key: wanted[key] for key in counters}, **given}, strict=True)
    return f"{f' [{where}]' if where else ''}{f' in the layout of {layout.name}' if layout else ''}"


def read_state_dict(path: Path, prefer_ema: bool, unsafe_pickle: bool) -> StateDict:
    """The state dict in a checkpoint file.

    Raises `UsageError` if the file holds no state dict, or no averaged weights although `prefer_ema` is set.
    """
    if path.suffix not in WEIGHT_SUFFIXES:
        raise UsageError(f"{path}: not a checkpoint's name; it must end in {', '.join(WEIGHT_SUFFIXES)}")
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    found = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path, unsafe_pickle)
    state = find_state_dict(found, prefer_ema)
    if state is None:
        keys = f" with the keys {_named(found)}" if isinstance(found, Mapping) else ""
        raise UsageError(f"{path}: holds a {type(found).__name__}{keys}, not a state dict of tensors by name")
    if prefer_ema and not is_average(state.key):
        raise UsageError(f"{path}: holds no averaged weights ({', '.join(AVERAGED)}); leave out --prefer-ema")
    return state


def _read_safetensors(path: Path) -> object:
    safetensors = needs_extra("safetensors.torch", "export")
    try:
        return safetensors.load_file(path)
    except Exception as error:
        raise UsageError(f"{path}: damaged or not a safetensors file ({_why(error)})") from error


def _read_pickle(path: Path, unsafe: bool) -> object:
    try:
        if not unsafe:
            _check_container(path)
        return torch.load(path, map_location="cpu", weights_only=not unsafe)
    except pickle.UnpicklingError as error:
        if "weights_only" not in str(error).lower():
            raise UsageError(f"{path}: damaged or not a checkpoint ({_why(error)})") from error
        raise UsageError(
            f"{path}: holds pickled code or objects, which are not run; save only the tensors, with "
            "torch.save(network.state_dict(), path) or as .safetensors; --unsafe-pickle runs the code in "
            "the file, so use it only for a file that you trust"
        ) from error
    except Exception as error:  # a damaged file can make the unpickler raise any type
        raise UsageError(f"{path}: damaged or not a checkpoint ({_why(error)})") from error


def _check_container(path: Path) -> None:
    """Raise `Damaged` for an archive that could inflate, which torch.save never writes."""
    with path.open("rb") as stream:
        if stream.read(len(_ZIP)) != _ZIP:
            size_of(path, LARGEST_FILE)
            return
    with open_stored_zip(path):
        pass


def _why(error: BaseException) -> str:
    reason = str(error) if isinstance(error, Damaged) else first_line(error)
    return printable(reason[:300])


def _is_plain(tensor: Tensor) -> bool:
    return (
        tensor.layout == torch.strided
        and tensor.device.type == "cpu"
        and not (tensor.is_quantized or tensor.is_complex() or tensor.is_nested)
    )


def _named(found: Mapping[object, object]) -> str:
    """The first keys. A key that is not text is named by its type, because its own text may be endless."""
    return ", ".join(
        printable(key[:60]) if isinstance(key, str) else type(key).__name__ for key in list(found)[:10]
    )


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
