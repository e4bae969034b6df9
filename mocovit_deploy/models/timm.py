"""Networks of timm, PyTorch Image Models: `timm/NAME` for every name in `timm.list_models()`.

Size, mean and standard deviation come from timm's data configuration of the network. Options of --model-arg
are keyword arguments of `timm.create_model`; Python literals are read as such.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mocovit_deploy.errors import UsageError, first_line
from mocovit_deploy.extras import needs_extra
from mocovit_deploy.models import torchvision
from mocovit_deploy.models.arguments import literal
from mocovit_deploy.spec import InputSpec, ModelSpec, Preprocessing, size_fields

if TYPE_CHECKING:
    from torch import nn

NAMES = ("timm/NAME",)
INPUT_NAMES = ("image",)
PREFIX = "timm/"


def knows(name: str) -> bool:
    """Whether `name` begins with timm/."""
    return name.startswith(PREFIX)


def build(spec: ModelSpec) -> nn.Module:
    """`timm.create_model` for `spec`.

    Raises `UsageError` for a name that timm does not have (with the closest ones), an option that the network
    does not take, or pretrained weights that timm does not have or cannot download; `MissingToolError` if
    timm is not installed.
    """
    timm = import_timm()
    name = spec.name.removeprefix(PREFIX)
    if not timm.is_model(name.partition(".")[0]):
        raise _unknown(timm, name)
    try:
        return _create(timm, name, spec)
    except Exception as error:  # timm and its download raise any type
        reason = f"{type(error).__name__}: {first_line(error)}"
        if spec.pretrained:
            raise UsageError(
                f"{spec.name}: timm cannot load its pretrained weights ({reason}); download them elsewhere, "
                "and give the file with --checkpoint"
            ) from error
        raise UsageError(f"{spec.name}: {reason}") from error


def _create(timm: ModuleType, name: str, spec: ModelSpec) -> nn.Module:
    network: nn.Module = timm.create_model(name, pretrained=spec.pretrained, **_options(timm, name, spec))
    return network


def _options(timm: ModuleType, name: str, spec: ModelSpec) -> dict[str, Any]:
    """Keyword arguments of `timm.create_model`."""
    options: dict[str, Any] = {key: literal(text) for key, text in spec.arguments}
    if spec.num_classes is not None:
        options.setdefault("num_classes", spec.num_classes)
    if spec.channels != InputSpec.channels:
        options.setdefault("in_chans", spec.channels)
    configuration = timm.get_pretrained_cfg(name, allow_unregistered=False)
    sides = spec.input.sides
    if configuration is not None and configuration.fixed_input_size and sides is not None:
        options.setdefault("img_size", sides[0] if sides[0] == sides[1] else sides)
    return options


def own_input(spec: ModelSpec, network: nn.Module) -> InputSpec:
    """timm's data configuration of `network`: size, mean and standard deviation of pixels 0..1."""
    data = importlib.import_module("timm.data").resolve_model_data_config(network)
    channels, height, width = data["input_size"]
    scaling = Preprocessing(scale=1 / 255, mean=tuple(data["mean"]), std=tuple(data["std"]))
    return InputSpec(**size_fields((height, width)), channels=channels, preprocessing=scaling)


def feature_maps(spec: ModelSpec, network: nn.Module) -> nn.Module:
    """timm's own `features_only` form of `network`, with its weights, at the strides of `spec`.

    Raises the errors of `maps_of_timm`, and `UsageError` if the `features_only` form has other weights.
    """
    from mocovit_deploy.models.features import NamedMaps

    backbone = maps_of_timm(spec, spec.features)
    _take_weights(spec.name, backbone, network)
    channels_last = getattr(network, "output_fmt", "NCHW") == "NHWC"  # timm's Swin
    return NamedMaps(backbone, spec.features, channels_last=channels_last)


def maps_of_timm(spec: ModelSpec, strides: Sequence[int]) -> Any:
    """timm's `features_only` form of a network: (N, C, H, W) -> a list of maps at `strides`.

    Its weights are random; its `feature_info.channels()` returns the channels of each map. If there are
    several maps at one stride, the last is used. Raises `UsageError` for a network without this form, and for
    a stride without a map.
    """
    from mocovit_deploy.models.features import last_at_each, require_strides

    places = last_at_each([one["reduction"] for one in _backbone(spec, None).feature_info.info])
    require_strides(spec.name, strides, tuple(places))
    return _backbone(spec, tuple(places[stride] for stride in strides))


def _backbone(spec: ModelSpec, places: tuple[int, ...] | None) -> Any:
    """`timm.create_model` with `features_only`; the maps at `places`, None for timm's own choice."""
    timm, name = import_timm(), spec.name.removeprefix(PREFIX)
    where = {} if places is None else {"out_indices": places}
    options = {**_options(timm, name, spec), **where}
    options.pop("num_classes", None)
    try:
        return timm.create_model(name, features_only=True, **options)
    except Exception as error:
        raise UsageError(
            f"timm {timm.__version__} gives no maps of {spec.name} ({type(error).__name__}: "
            f"{first_line(error)})"
        ) from error


def _take_weights(name: str, backbone: nn.Module, network: nn.Module) -> None:
    """Copy the weights of `network` into its `features_only` form, in which some have other names.

    blocks.0.0.conv.weight      of the network
    blocks_0.0.conv.weight      of its features_only form, or model.blocks.0.0.conv.weight
    """
    given = {_plain(key): tensor for key, tensor in network.state_dict().items()}
    wanted = backbone.state_dict()
    names = {key: _plain(key) for key in wanted}
    taken = {key: given.get(plain, given.get(plain.partition("_")[2])) for key, plain in names.items()}
    if unknown := [key for key, one in taken.items() if one is None or one.shape != wanted[key].shape]:
        raise UsageError(f"{name} has other weights as a backbone ({unknown[0]})")
    backbone.load_state_dict(taken)


def _plain(key: str) -> str:
    return key.replace(".", "_")


def weights(spec: ModelSpec, network: nn.Module) -> str:
    """The name of the pretrained weights; empty without --pretrained."""
    if not spec.pretrained:
        return ""
    configuration: Any = network.pretrained_cfg
    return f"timm, {configuration['architecture']}.{configuration.get('tag') or 'pretrained'}"


def import_timm() -> ModuleType:
    """Import timm, also beside a torchvision that does not fit this torch (`models/torchvision.py`).

    Raises `MissingToolError` if timm is not installed, or the torchvision that it needs cannot be imported.
    """
    torchvision.importable()
    return needs_extra("timm", "timm")


def named(name: str) -> list[str]:
    """ "timm/resnet50" for "resnet50", if timm is installed and has it."""
    if importlib.util.find_spec("timm") is None:
        return []
    try:
        return [f"{PREFIX}{name.lower()}"] if import_timm().is_model(name.lower()) else []
    except Exception:  # noqa: BLE001 - a timm that cannot be imported gives no hint
        return []


def _unknown(timm: ModuleType, name: str) -> UsageError:
    """An error with the closest names, as timm has more than a thousand."""
    known = timm.list_models()
    close = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f"; the closest are {', '.join(close)}" if close else ""
    return UsageError(
        f"timm {timm.__version__} has no network {name!r} among its {len(known)}{hint} "
        "(to list all: python -c 'import timm; print(*timm.list_models())')"
    )
