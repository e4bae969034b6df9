"""ModelSpec -> nn.Module, with its weights, and where they came from."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from mocovit_deploy.artifacts.provenance import LIVE
from mocovit_deploy.artifacts.task import Task
from mocovit_deploy.boxes.decode import SUPPRESSED
from mocovit_deploy.choices import BOXES, STRIDES
from mocovit_deploy.errors import ConversionError, UsageError, first_line, unknown_choice
from mocovit_deploy.files import digest, file_name
from mocovit_deploy.graph.wrapper import unwrapped
from mocovit_deploy.models import detection, instances
from mocovit_deploy.models.checkpoint import load_checkpoint
from mocovit_deploy.models.features import require_backbones, with_maps
from mocovit_deploy.models.floats import in_float32
from mocovit_deploy.models.inputs import Inputs, inputs_of, path_of
from mocovit_deploy.models.modes import require_one_mode
from mocovit_deploy.models.names import name_inputs, name_outputs, parameters_of
from mocovit_deploy.models.pixels import taking_pixels
from mocovit_deploy.models.seeded import enliven, seeded
from mocovit_deploy.models.source import source_for
from mocovit_deploy.spec import ASSUMED, InputSpec, ModelSpec, Preprocessing, sides_text


@dataclass(frozen=True)
class Network:
    """The original network, in eval mode, which every file is judged against."""

    module: nn.Module
    name: str
    weights: str
    """Where the weights came from: "random, seed 0", "as net.py:net gives them", or a checkpoint's name and
    digest."""
    trained: bool
    """False for random weights that this package made. Networks of the user's count as trained."""
    inputs: Inputs
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    remark: str = ""
    """A note if files compute something else than the network, as for one in bfloat16; else empty."""

    @property
    def input(self) -> InputSpec:
        """The image that it takes, with its preprocessing."""
        return self.inputs.image

    @property
    def task(self) -> dict[str, Any] | None:
        """What its outputs mean, by their names in files; None if the network does not declare it."""
        found = getattr(unwrapped(self.module), "task", None)
        return found.as_json(self.output_names) if isinstance(found, Task) else None

    @property
    def stem(self) -> str:
        """The beginning of its files' names."""
        if self.inputs.example is not None:
            return self.name
        batch = f"_b{self.input.batch}" if self.input.batch > 1 else ""
        return f"{self.name}_{sides_text(self.input.sides)}{batch}"


def load_network(spec: ModelSpec) -> Network:
    """Build the network that `spec` names, with its checkpoint or with seeded random weights.

    Raises `UsageError` for an unknown name, an argument that the network does not take, or a checkpoint that
    does not fit; `ConversionError` if the network does not run on its own inputs; `MissingToolError` for a
    missing package.
    """
    source = source_for(spec.name)
    require_backbones(spec, source)
    _require_detector(spec)
    with seeded(spec.seed):
        built = source.build(spec)
        own = source.own_input(spec, built)
        weights = source.weights(spec, built)
        parameters = parameters_of(built.forward)
        module, inputs = inputs_of(built, spec.input, own)
        module.eval()
        if spec.checkpoint is not None:
            found = load_checkpoint(
                built, spec.checkpoint, prefer_ema=spec.prefer_ema, unsafe_pickle=spec.unsafe_pickle
            )
            weights = f"{spec.checkpoint.name}{found}, sha256 {digest(spec.checkpoint)[:16]}"
        elif not weights:
            with _naming_the_shapes(spec, inputs):
                enliven(module, inputs.for_statistics())
        module = with_maps(spec, source, module)
    input_names = name_inputs(spec.input_names, source.INPUT_NAMES, parameters, inputs.paths)
    network = _network(spec, _short(spec), module, inputs, input_names)
    network = replace(network, weights=weights or f"random, seed {spec.seed}", trained=bool(weights))
    return replace(network, remark=network.remark or _remark_on_size(network))


def live_network(module: object, example: object, spec: ModelSpec, how: Preprocessing) -> Network:
    """A module of a Python program as a network. The module is copied and not changed.

    `example` has one of the forms of `example_inputs` (models/user.py); `how` is the preprocessing of images.
    Raises `UsageError` for an object that is not a module, cannot be copied or is partly in training mode,
    and for a preprocessing that cannot be used; `ConversionError` if it does not run on its inputs.
    """
    if not isinstance(module, nn.Module):
        hint = "; call it, and pass the module that it returns" if callable(module) else ""
        raise UsageError(f"export takes a torch.nn.Module, not a {type(module).__name__}{hint}")
    require_one_mode(spec.name, module)
    try:
        original = copy.deepcopy(module)
    except Exception as error:
        raise UsageError(f"{spec.name} cannot be copied ({first_line(error)}); detach its tensors") from error
    vars(original)["example_inputs"] = example
    parameters = parameters_of(original.forward)
    network, inputs = inputs_of(original, spec.input, InputSpec(preprocessing=how))
    if how != ASSUMED and (inputs.example is not None or inputs.image.dtype == "uint8"):
        what = "takes uint8 pixels" if inputs.example is None else "does not take one image"
        raise UsageError(f"preprocessing: {spec.name} {what}; leave preprocessing out")
    network.eval()
    input_names = name_inputs(spec.input_names, (), parameters, inputs.paths)
    return _network(spec, spec.name.removeprefix(LIVE), network, inputs, input_names)


def _network(
    spec: ModelSpec, name: str, module: nn.Module, inputs: Inputs, input_names: tuple[str, ...]
) -> Network:
    """A module in eval mode as a network in float32, with its preprocessing inside if `spec` says so.

    The module is run once on its inputs.
    """
    module, remark = in_float32(module, inputs.for_capture(spec.seed, free_batch=False), name)
    if spec.normalize:
        module, inputs = taking_pixels(module, inputs, name)
    with _naming_the_shapes(spec, inputs), torch.no_grad():
        result = module(*inputs.for_capture(spec.seed, free_batch=False))
    return Network(
        module=module,
        name=name,
        weights="as the module holds them",
        trained=True,
        inputs=inputs,
        input_names=input_names,
        output_names=_output_names(spec, result, input_names, image=inputs.example is None),
        remark=remark,
    )


def _output_names(spec: ModelSpec, result: Any, inputs: Sequence[str], *, image: bool) -> tuple[str, ...]:
    keyed, _ = pytree.tree_flatten_with_path(result)
    for keys, leaf in keyed:
        if not isinstance(leaf, Tensor):
            place = ".".join(map(str, path_of(keys)))
            raise ConversionError(
                f"{spec.name}: what forward returns{f' as {place}' if place else ''} is of type "
                f"{type(leaf).__name__}; let it return only tensors"
            )
    classifier = image and isinstance(result, Tensor) and result.dim() == 2
    paths = [path_of(keys) for keys, _ in keyed]
    return name_outputs(spec.output_names, paths, classifier=classifier, inputs=inputs)


def _require_detector(spec: ModelSpec) -> None:
    """Raise `UsageError` for an unknown form of boxes, and for boxes of a network that is not a detector."""
    if spec.boxes and spec.boxes not in BOXES:
        raise unknown_choice("form of boxes", spec.boxes, BOXES)
    known = (*detection.NAMES, *instances.NAMES)
    if spec.boxes and spec.name not in known:
        raise UsageError(f"--boxes: works for {', '.join(known)}, not for {spec.name}; leave out --boxes")
    if spec.boxes == SUPPRESSED and not detection.knows(spec.name):
        raise UsageError(
            f"--boxes suppressed: gives no masks, which {spec.name} is for; give --boxes raw, or the "
            f"detector {spec.name.removesuffix(instances.SUFFIX)}{detection.SUFFIX}"
        )


def _remark_on_size(network: Network) -> str:
    """A remark on an image size that the coarsest stride of a network with a task does not divide.

    A detector names its strides, which go further than those of its backbone.
    """
    if network.task is None:
        return ""
    sides, coarsest = network.input.sides, max(network.task.get("strides", STRIDES))
    if not any(side % coarsest for side in sides):
        return ""
    covered = " x ".join(str(-(-side // coarsest) * coarsest) for side in sides)
    return (
        f"{coarsest} does not divide the sides of an image of {' x '.join(map(str, sides))}: the maps of "
        f"{network.name} cover {covered}, past the image's edge; nothing is moved or stretched"
    )


@contextlib.contextmanager
def _naming_the_shapes(spec: ModelSpec, inputs: Inputs) -> Iterator[None]:
    """Inside the block, an exception of the user's forward becomes one line that names the inputs' shapes."""
    try:
        yield
    except Exception as error:
        tensors = inputs.example
        shapes = [inputs.image.shape] if tensors is None else [tuple(tensor.shape) for tensor in tensors]
        given = " and ".join("x".join(map(str, shape)) for shape in shapes)
        raise ConversionError(
            f"{spec.name} does not run on inputs of {given}: {type(error).__name__}: {first_line(error)}"
        ) from error


def _short(spec: ModelSpec) -> str:
    """The stem of files' names: "net" for "path/to/file.py:net", "timm_ghostnet_100" for "timm/ghostnet_100".

    With --features "mocovit_1_0_features_8_16".
    """
    if spec.name.endswith(".pt2"):
        return file_name(Path(spec.name).stem)
    name = file_name(spec.name.rpartition(":")[2])
    return "_".join([name, "features", *map(str, spec.features)]) if spec.features else name
