"""The user's own networks: `package.module:function`, or `path/to/file.py:function`.

The function returns an `nn.Module` with its weights. A network that takes one image needs nothing more. Any
other declares its inputs in an attribute:

    module.example_inputs = (torch.zeros(1, 3, 192, 320), torch.zeros(1, 4))
    module.example_inputs = {"image": torch.zeros(1, 3, 192, 320), "box": torch.zeros(1, 4)}

They stand in the order of forward's parameters, or by their names; lists, tuples and dictionaries inside are
flattened. An image in uint8 means pixels 0..255.

Options of --model-arg are arguments of the function, read as Python literals unless a parameter is declared
`str`. A function that has a parameter `num_classes` or `image_size` gets the command's; an image size that is
not square is (height, width). A file may import its neighbours. Weights in another floating-point type are
converted to float32 (`floats`), and a module of torch.jit is converted (`graph.script`).
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
TORCHVISION = "torchvision.models:"


def knows(name: str) -> bool:
    """Whether `name` names a function."""
    return ":" in name


def build(spec: ModelSpec) -> nn.Module:
    """Call the user's function.

    Raises `UsageError` for a function that does not exist, fails, or does not return a module.
    """
    if spec.pretrained:
        of_torchvision = spec.name.startswith(TORCHVISION)
        way = "give --model-arg weights=DEFAULT" if of_torchvision else "load the weights in the function"
        raise UsageError(f"{spec.name}: --pretrained is for timm; {way}, or give --checkpoint")
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
            f"{spec.name}: returns an object of type {type(network).__name__}, not a torch.nn.Module"
        )
    require_one_mode(spec.name, network)
    return network


def own_input(_spec: ModelSpec, _network: nn.Module) -> InputSpec:
    """224 x 224, with ImageNet's preprocessing assumed."""
    return InputSpec(preprocessing=ASSUMED)


def weights(spec: ModelSpec, _network: nn.Module) -> str:
    """They are those that the function gives."""
    return f"as {Path(spec.name).name} gives them"


def _value(function: Callable[..., object], name: str, text: str) -> object:
    """A value of --model-arg: a Python literal, or the text if the function's parameter is a `str`."""
    parameter = inspect.signature(function).parameters.get(name)
    return text if parameter is not None and parameter.annotation in (str, "str") else literal(text)


def _require_parameter(name: str, function: Callable[..., object], parameter: str, option: str) -> None:
    parameters = inspect.signature(function).parameters
    if parameter in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    raise UsageError(f"{name} takes no {parameter}; leave out {option}, or give the function that parameter")
