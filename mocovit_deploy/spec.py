"""What the user asked for, as plain data: no torch, no numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LAYOUTS = ("nhwc", "nchw")
COLOUR_ORDERS = ("RGB", "BGR")
CONVERTERS = ("direct", "litert-torch")
"""The two writers of TFLite files."""
BATCH = "batch"
"""Stands in a shape for the dimension that the caller of a file chooses."""


@dataclass(frozen=True)
class Preprocessing:
    """How a photograph becomes the tensor a network was trained on.

    `tensor = (pixel * scale - mean) / std`, channel by channel, pixels 0..255 in `colour_order`.
    """

    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    colour_order: str = "RGB"
    assumed: tuple[str, ...] = ()
    """Which of these fields neither the user nor the network's source gave."""
    built_in: Preprocessing | None = None
    """The preprocessing inside the network (`--normalize`), which the app leaves out; None if there is
    none."""


ASSUMED = Preprocessing(assumed=("scale", "mean", "std", "colour_order"))
"""ImageNet's values, assumed for a network whose source says nothing about its images."""
PIXELS = Preprocessing(scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), assumed=("colour_order",))
"""For a network that takes the pixels themselves."""


def sides_text(sides: tuple[int, int]) -> str:
    """Height and width as --image-size takes them, and as they stand in files' names.

    >>> sides_text((224, 224)), sides_text((96, 192))
    ('224', '96x192')
    """
    height, width = sides
    return str(height) if height == width else f"{height}x{width}"


def sides_of(text: str) -> tuple[int, int]:
    """Height and width in pixels, from one number for both or "HEIGHTxWIDTH"; undoes `sides_text`.

    Raises `ValueError` for anything else.

    >>> sides_of("224"), sides_of("96x192")
    ((224, 224), (96, 192))
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(one.isascii() and one.isdigit() and int(one) for one in sides):
        raise ValueError(text)
    return int(sides[0]), int(sides[-1])


def size_fields(sides: tuple[int, int]) -> dict[str, Any]:
    """Height and width as the fields of `InputSpec` and `OwnInput`.

    >>> size_fields((96, 192)), size_fields((224, 224))
    ({'size': 96, 'width': 192}, {'size': 224, 'width': None})
    """
    height, width = sides
    return {"size": height, "width": None if height == width else width}


def strides_of(numbers: Sequence[int]) -> tuple[int, ...]:
    """The strides of feature maps, sorted. Raises `ValueError` unless they are different powers of two.

    >>> strides_of([32, 8])
    (8, 32)
    """
    found = sorted(numbers)
    if len(set(found)) < len(found) or any(one < 1 or one & (one - 1) for one in found):
        raise ValueError(numbers)
    return tuple(found)


@dataclass(frozen=True)
class InputSpec:
    """The image a network takes: `batch` pictures of `channels` x height x width, NCHW in PyTorch."""

    size: int = 224
    """The height; also the width if `width` is None."""
    channels: int = 3
    batch: int = 1
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    dtype: str = "float32"
    """"uint8" if the network takes pixels 0..255."""
    width: int | None = None
    """None for a square."""

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        return (self.size, self.size if self.width is None else self.width)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (self.batch, self.channels, *self.sides)


@dataclass(frozen=True)
class OwnInput:
    """The input that the network's source declares. A field that is not None overrides what it declares.

    timm declares size and preprocessing; a `.pt2` file declares its shapes. Other sources declare nothing:
    then the input is an `InputSpec` whose preprocessing is `ASSUMED`.
    """

    size: int | None = None
    """The height; also the width if `width` is None."""
    batch: int | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    """One number for each channel, or one for all."""
    std: tuple[float, ...] | None = None
    colour_order: str | None = None
    width: int | None = None

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width; None if no size is given."""
        return None if self.size is None else (self.size, self.size if self.width is None else self.width)

    @property
    def said(self) -> dict[str, float | str | tuple[float, ...]]:
        """The fields of `Preprocessing` that are given here, by name."""
        fields = {"scale": self.scale, "mean": self.mean, "std": self.std, "colour_order": self.colour_order}
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class ModelSpec:
    """Which network, and with which weights."""

    name: str = "mocovit_1_0"
    arguments: tuple[tuple[str, str], ...] = ()
    checkpoint: Path | None = None
    num_classes: int | None = None
    """None: as many as the network's source says; 1000 for the networks of this package."""
    input: InputSpec | OwnInput = field(default_factory=OwnInput)
    """An `InputSpec` is used exactly as it is; `load_network` puts the resolved input into
    `Network.input`."""
    seed: int = 0
    pretrained: bool = False
    """Weights that the network's source downloads (timm)."""
    prefer_ema: bool = False
    """Take the averaged (EMA) weights of a checkpoint that holds both."""
    normalize: bool = False
    """Put the preprocessing of the image into the network, which then takes pixels in uint8."""
    features: tuple[int, ...] = ()
    """Return the feature maps of the backbone at these strides instead of the head's outputs; empty: the
    head's."""
    boxes: str = ""
    """Outputs of a detector: one of `choices.BOXES`; empty for the default."""
    unsafe_pickle: bool = False
    """Read files that hold pickled objects. Reading them runs the code they hold."""
    input_names: tuple[str, ...] = ()
    """Empty: the parameters of `forward`, or the names that the source declares."""
    output_names: tuple[str, ...] = ()
    """Empty: the keys of the dictionary that `forward` returns; "logits" or "output" for a single tensor."""

    @property
    def channels(self) -> int:
        return self.input.channels if isinstance(self.input, InputSpec) else InputSpec.channels


RANGE_RULES = ("minmax", "percentile", "mse")
"""How the range of an activation is chosen from what was observed (`quantization.ranges`)."""


@dataclass(frozen=True)
class CalibrationRequest:
    """The images that ranges of activations are taken from."""

    source: str
    """A folder, an .npz, package.module:function, or "random" (`quantization.calibration`)."""
    images: int = 128
    """The most images that ranges are taken from."""
    strict: bool = False
    """Stop at a file that is not an image instead of leaving it out."""
    ranges: str = "minmax"
    """One of `RANGE_RULES`."""
    bias_correction: bool = False
    """Subtract from each bias the mean error that rounding the weights makes."""
    judging_images: int = 0
    """How many further images are kept to judge candidates on (`SearchRequest`)."""


AUTO = "auto"
"""The value of --precision that searches for the best recipe and writes one file in it."""


@dataclass(frozen=True)
class SearchRequest:
    """What `AUTO` looks for: the fastest file that keeps the accuracy."""

    device: str = "snapdragon_855"
    """The device whose modelled milliseconds are compared; one of `choices.DEVICES`."""
    runtime: str = "litert"
    max_drop: float = 0.5
    """Percentage points. The upper end of the 95 % interval of the lost accuracy may not exceed it."""
    images: int = 1000
    """How many calibration images accuracy is judged on. Ranges are taken from others."""


@dataclass(frozen=True)
class AccuracyRequest:
    """The labelled images that files are compared with the original on."""

    source: str
    """A folder with one folder for each class, an .npz, or package.module:function (`accuracy.labelled`)."""
    images: int | None = None
    """How many images are used, from the first; None for all."""
    max_drop: float | None = None
    """Percentage points. The upper end of the 95 % interval of the lost accuracy may not exceed it; None for
    no limit.
    """


@dataclass(frozen=True)
class ExportRequest:
    """One call of `mocovit-export`."""

    model: ModelSpec
    formats: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("fp32",)
    output_dir: Path = Path("build")
    layout: str = "nhwc"
    opset: int = 18
    simplify: bool = True
    dynamic_batch: bool = False
    minimum_deployment_target: str = "iOS16"
    converter: str = ""
    """One of `CONVERTERS`. Empty: the direct writer, or litert-torch for a graph that it cannot write."""
    verify: bool = True
    without: tuple[str, ...] = ()
    """Passes to leave out."""
    only: tuple[tuple[str, str], ...] = ()
    """(format, precision): exactly these files; empty for every format in every precision."""
    labels: tuple[str, ...] = ()
    """Names of the classes, in the order of the network's outputs."""
    author: str = ""
    licence: str = ""
    model_version: str = ""
    description: str = ""
    """`labels` and these four are written into the file's own metadata."""
    app_code: bool = False
    """Write code that loads each file, beside it."""
    search: SearchRequest | None = None
    """How the precision `AUTO` searches; None for the defaults."""
    calibration: CalibrationRequest | None = None
    """None: only recipes that need no calibration can be written."""
    accuracy: AccuracyRequest | None = None
    """None: files are not compared on labelled images."""
    deploy_hooks: bool = False
    """Run the network's own `switch_to_deploy`, `reparameterize` or `fuse` before it is captured."""

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """(format, precision) of each file to write, in order."""
        return self.only or tuple((name, recipe) for name in self.formats for recipe in self.precisions)


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a file. A dimension is a number, or `BATCH` where the caller chooses."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    layout: str = ""
    """"nhwc" or "nchw" for images, empty for anything else."""
