"""The float network's own answers on held-out images: what every file is compared with."""

from __future__ import annotations

from torch import nn

from examples.digits import data
from mocovit_deploy.accuracy.answers import network_answers
from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.spec import InputSpec


def answers(network: nn.Module, split: data.Split, spec: InputSpec, images: int) -> Classes:
    """The class the network, in eval mode, names for each of the first `images` images of a split."""
    return network_answers(network, data.tensors(split, spec), images)
