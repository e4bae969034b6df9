"""The float network's own answers on held-out images: what every file is compared with."""

from __future__ import annotations

import torch
from torch import nn

from examples.digits import data
from examples.digits.evaluate import Classes, classes
from mocovit_deploy.artifact import Array
from mocovit_deploy.spec import InputSpec

BATCH = 64


def answers(network: nn.Module, split: data.Split, spec: InputSpec, images: int) -> Classes:
    """The class the network, in eval mode, names for each of the first `images` images of a split."""

    def predict(batch: Array) -> Array:
        with torch.no_grad():
            logits: Array = network(torch.from_numpy(batch)).numpy()
        return logits

    starts = range(0, images, BATCH)
    batches = (data.batch(split, range(start, min(start + BATCH, images)), spec)[0] for start in starts)
    return classes(predict, batches)
