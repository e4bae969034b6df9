"""Training and evaluation mode of the user's network."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from mocovit_deploy.errors import UsageError

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def require_one_mode(name: str, network: nn.Module) -> None:
    """Accept a network in evaluation mode, or one in training mode, which is then set to evaluation.

    Raises `UsageError` for a network in evaluation mode that holds layers in training mode: to change their
    mode would judge the file against another network than the user's.
    """
    if getattr(network, "training", False):  # a frozen ScriptModule has no mode
        return
    for path, child in network.named_modules():
        if getattr(child, "training", False) and (
            isinstance(child, _BatchNorm | _InstanceNorm) or type(child) in DROPOUTS
        ):
            raise UsageError(
                f"{name}: {path} is in training mode inside a network in evaluation mode; call .eval() on "
                "the network before it is returned"
            )
