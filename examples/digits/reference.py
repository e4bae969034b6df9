"""The classes that the float network itself gives for held-out images. Every file is compared with them."""

from __future__ import annotations

from torch import nn

from examples.digits import data
from mocovit_deploy.accuracy.answers import network_answers
from mocovit_deploy.accuracy.evaluate import Classes
from mocovit_deploy.spec import InputSpec


def answers(network: nn.Module, split: data.Split, spec: InputSpec, images: int) -> Classes:
    """The class that `network`, in eval mode, gives for each of the first `images` of a split, (images,)."""
    return network_answers(network, data.tensors(split, spec), images)
