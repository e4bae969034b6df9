"""Networks of the user's own: `package.module:function`, or `path/to/file.py:function`.

The function is called with the options given by --model-arg, as text, and returns an `nn.Module`. A network
that takes one square image needs nothing more. Any other says what it takes in an attribute:

    module.example_inputs = (torch.zeros(1, 3, 192, 320), torch.zeros(1, 4))
    module.example_inputs = {"image": torch.zeros(1, 3, 192, 320), "box": torch.zeros(1, 4)}

in the order, or by the names, of forward's parameters; lists, tuples and dictionaries inside are flattened.
"""

from __future__ import annotations

from torch import nn

from mocovit_deploy.errors import UsageError, first_line
from mocovit_deploy.functions import load_function
from mocovit_deploy.spec import InputSpec, ModelSpec

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
    function = load_function(spec.name)
    try:
        network = function(**dict(spec.arguments))
    except Exception as error:
        raise UsageError(f"{spec.name}: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(
            f"{spec.name} returns something of type {type(network).__name__}, not a torch.nn.Module"
        )
    return network


def own_input(_spec: ModelSpec, _network: nn.Module) -> InputSpec:
    return InputSpec()


def weights(_spec: ModelSpec, _network: nn.Module) -> str:
    return ""
