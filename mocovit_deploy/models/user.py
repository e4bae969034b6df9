"""Networks of the user's own: `package.module:function`, or `path/to/file.py:function`.

The function is called with the options given by --model-arg, and returns an `nn.Module`, with its weights:
they are exported as they are. --num-classes becomes the argument `num_classes` of a function that takes it. A
network that takes one image needs nothing more. Any other says what it takes in an
attribute:

    module.example_inputs = (torch.zeros(1, 3, 192, 320), torch.zeros(1, 4))
    module.example_inputs = {"image": torch.zeros(1, 3, 192, 320), "box": torch.zeros(1, 4)}

in the order, or by the names, of forward's parameters; lists, tuples and dictionaries inside are flattened.
Options given by --model-arg are arguments of the function, read as Python literals unless a parameter is
declared `str`; a function that takes `num_classes` or `image_size` is given those of the command, a size that
is no square as (height, width). A file may import its neighbours. An image in uint8 is taken as pixels
0..255. Weights in another float than float32 are taken to it (`floats`), and a module of torch.jit is
converted (`graph.script`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mocovit_deploy.errors import UsageError, first_line
from mocovit_deploy.models.arguments import literal
from mocovit_deploy.models.torchvision import with_operators
from mocovit_deploy.spec import ASSUMED, InputSpec, ModelSpec
from mocovit_deploy.user_functions import load_function

if TYPE_CHECKING:
    from torch import nn

NAMES = ("package.module:function", "path/to/file.py:function")
INPUT_NAMES = ()


def knows(name: str) -> bool:
    return ":" in name


def build(spec: ModelSpec) -> nn.Module:
    """Call the user's function. Raises `UsageError` for what is not there, fails, or returns no module."""
    if spec.pretrained:
        raise UsageError(
            f"{spec.name}: --pretrained is for timm; load weights in the function, or --checkpoint"
        )
    return with_operators(lambda: _built(spec))


def _built(spec: ModelSpec) -> nn.Module:
    from torch import nn

    from mocovit_deploy.models.modes import require_one_mode

    function = load_function(spec.name)
    options: dict[str, object] = {name: _value(function, name, text) for name, text in spec.arguments}
    if spec.num_classes is not None:
        _require_parameter(spec.name, function, "num_classes", "--num-classes")
        options.setdefault("num_classes", spec.num_classes)
    sides = spec.input.sides
    if sides is not None and "image_size" in inspect.signature(function).parameters:
        options.setdefault("image_size", sides[0] if sides[0] == sides[1] else sides)
    try:
        network = function(**options)
    except Exception as error:
        raise UsageError(f"{spec.name}: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"{spec.name} returns something of type {type(network).__name__}, not a torch.nn.Module"
        )
    require_one_mode(spec.name, network)
    return network


def own_input(_spec: ModelSpec, _network: nn.Module) -> InputSpec:
    return InputSpec(preprocessing=ASSUMED)


def weights(spec: ModelSpec, _network: nn.Module) -> str:
    return f"as {Path(spec.name).name} gives them"


def _value(function: Callable[..., object], name: str, text: str) -> object:
    """What --model-arg gives to `function`: a Python literal, or the text if the parameter is a `str`."""
    parameter = inspect.signature(function).parameters.get(name)
    return text if parameter is not None and parameter.annotation in (str, "str") else literal(text)


def _require_parameter(name: str, function: Callable[..., object], parameter: str, option: str) -> None:
    parameters = inspect.signature(function).parameters
    if parameter in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    raise UsageError(f"{name} takes no {parameter}; leave out {option}, or give the function that parameter")
