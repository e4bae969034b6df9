"""The networks in this folder: which are trained on scenes, from what, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from examples.digits.networks import NETWORKS as OF_DIGITS
from examples.digits.networks import Trained as Classifier
from examples.scenes.data import CLASSES

FOLDER = Path(__file__).parent
SIZE = 128
"""Height and width of the scenes, in pixels."""


@dataclass(frozen=True)
class Trained:
    """A network to train: its name, the classifier that its backbone starts from, the steps of training."""

    model: str
    backbone: str
    """The name of a network of examples/digits."""
    steps: int
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> str:
        """What it computes, as its `task` says: "detection", "instances" or "segmentation"."""
        return KINDS[self.model.rpartition("_")[2]]

    @property
    def classes(self) -> int:
        """The classes that it tells apart; of a segmenter the background is the first."""
        return CLASSES + (self.kind == "segmentation")

    @property
    def checkpoint(self) -> Path:
        """The file in this folder that the trained network is written to."""
        return FOLDER / f"{self.model}_{SIZE}.safetensors"

    @property
    def classifier(self) -> Classifier:
        """The network of examples/digits that its backbone is taken from."""
        return next(one for one in OF_DIGITS if one.name == self.backbone)


KINDS = {"retinanet": "detection", "yolact": "instances", "seg": "segmentation"}
"""By the last word of a network's name."""

NETWORKS = (
    Trained("mocovit_0_5_retinanet", "mocovit_0_5", 1600),
    Trained("ghostnet_0_5_retinanet", "ghostnet_050", 1600),
    Trained("mocovit_0_5_yolact", "mocovit_0_5", 1600, (("prototypes", "16"),)),
    Trained("ghostnet_0_5_yolact", "ghostnet_050", 1600, (("prototypes", "16"),)),
    Trained("mocovit_0_5_seg", "mocovit_0_5", 1600),
    Trained("efficientvit_b0_seg", "efficientvit_b0", 1600),
)


def network_named(model: str) -> Trained:
    """The network of this folder with the name `model`."""
    return next(one for one in NETWORKS if one.model == model)
