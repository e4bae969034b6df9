"""The networks in this folder: one of each family, trained on digits by the same recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Trained:
    """A network to train: its name and options, the size of its images, and the steps of training."""

    model: str
    size: int
    """Height and width of the images, in pixels."""
    steps: int
    arguments: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        """The network's name without its library: mobilenetv3_small_075 of timm/mobilenetv3_small_075."""
        return self.model.rpartition("/")[2]

    @property
    def checkpoint(self) -> Path:
        """The file in this folder that the trained network is written to."""
        return FOLDER / f"{self.name}_{self.size}.safetensors"

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that decide what it answers, and on which images: checkpoint, networks and images."""
        return (self.checkpoint, FOLDER / "networks.py", FOLDER / "data.py")


NETWORKS = (
    Trained("mocovit_0_5", 96, 1600),
    Trained("timm/ghostnet_050", 64, 4800),
    Trained("timm/mobilenetv3_small_075", 64, 4800),
    Trained("timm/mobilevit_xxs", 64, 3200),
    Trained("timm/efficientvit_b0", 64, 3200, (("head_widths", "(256, 320)"),)),
)
"""EfficientViT's classifier has more weights than its other layers; ten classes need only a narrow one."""
