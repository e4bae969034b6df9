"""Exported programs: `.pt2` files of `torch.export.save`, which hold weights and example inputs."""

from __future__ import annotations

import contextlib
import logging
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocovit_deploy.errors import ConversionError, UsageError, first_line
from mocovit_deploy.files import digest
from mocovit_deploy.models.archive import require_plain_program
from mocovit_deploy.spec import ASSUMED, InputSpec, ModelSpec
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.untrusted.read import LARGEST_DOCUMENT, parse_json
from mocovit_deploy.untrusted.zip import Damaged

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

NAMES = ("program.pt2",)
INPUT_NAMES = ()
SUFFIX = ".pt2"


def knows(name: str) -> bool:
    """Whether `name` is that of a `.pt2` file."""
    return name.endswith(SUFFIX)


def build(spec: ModelSpec) -> nn.Module:
    """The program as a module, with its example inputs as the attribute `example_inputs`.

    Raises `UsageError` for a file that does not exist, is not a program, was written by a torch version that
    this one cannot read, was captured in training mode, or holds pickled objects (unless
    `spec.unsafe_pickle`).
    """
    import torch

    from mocovit_deploy.graph.script import require_inference

    path = Path(spec.name)
    if spec.arguments:
        raise UsageError(f"{path}: an exported program takes no options; leave out --model-arg")
    if spec.num_classes is not None:
        raise UsageError(f"{path}: an exported program has its own classes; leave out --num-classes")
    if spec.pretrained:
        raise UsageError(f"{path}: an exported program holds its own weights; leave out --pretrained")
    program = _load(path, spec.unsafe_pickle)
    try:
        module = program.module(check_guards=False)
    except Exception as error:  # an inconsistent graph
        raise UsageError(f"{path}: not a program that can be run ({first_line(error)})") from error
    assert isinstance(module, torch.fx.GraphModule)
    try:
        require_inference(module, "torch.export")
    except ConversionError as error:
        raise UsageError(f"{path}: {error}") from None
    del module.train, module.eval  # torch makes both raise; the graph has no mode to change
    if program.example_inputs is None:
        raise UsageError(f"{path}: holds no example inputs; save it again with torch.export.save")
    positional, keywords = program.example_inputs
    vars(module)["example_inputs"] = (*positional, *keywords.values())
    return module


def run_once(spec: ModelSpec) -> None:
    """Build the program and run it on its example inputs.

    Raises the errors of `build`, and `ConversionError` if the program does not run.
    """
    import torch

    module = build(spec)
    try:
        with torch.no_grad():
            module(*vars(module)["example_inputs"])
    except Exception as error:
        raise ConversionError(
            f"{spec.name} does not run on its example inputs: {first_line(error)}"
        ) from error


def own_input(_spec: ModelSpec, _network: nn.Module) -> InputSpec:
    """ImageNet's preprocessing, assumed; the shapes are those of the example inputs."""
    return InputSpec(preprocessing=ASSUMED)


def weights(spec: ModelSpec, _network: nn.Module) -> str:
    """The file's name and digest."""
    path = Path(spec.name)
    return f"{path.name}, sha256 {digest(path)[:16]}"


def _load(path: Path, unsafe_pickle: bool) -> ExportedProgram:
    import torch

    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    saved_by = _saved_by(path)
    if not unsafe_pickle:
        try:
            require_plain_program(path)
        except (Damaged, OSError) as error:
            raise UsageError(
                f"{path}: not a program that can be read safely ({error}); --unsafe-pickle reads it and may "
                "run code in it, so use it only for a file that you trust"
            ) from error
    with _unpickling_tensors_alone(not unsafe_pickle), _logged_instead_of_raised() as causes:
        try:
            return torch.export.load(path)
        except pickle.UnpicklingError as error:
            raise UsageError(
                f"{path}: holds pickled objects, which run code when they are read; --unsafe-pickle reads "
                "them, so use it only for a file that you trust"
            ) from error
        except Exception as error:  # readers of other versions raise any type
            raise UsageError(
                f"{path}: was saved by torch {saved_by} and cannot be read by torch {torch.__version__} "
                f"({first_line(causes[0] if causes else error)}); export it again with this torch"
            ) from error


def _saved_by(path: Path) -> str:
    """The torch version that a `.pt2` archive records."""
    try:
        with zipfile.ZipFile(path) as archive:
            models = [
                name for name in archive.namelist() if name.endswith(("models/model.json", "program.json"))
            ]
            if archive.getinfo(models[0]).file_size > LARGEST_DOCUMENT:
                raise ValueError(f"{models[0]} is larger than {LARGEST_DOCUMENT:,} bytes")
            return printable(parse_json(archive.read(models[0])).get("torch_version", "of another version"))
    # zipfile raises many types of errors for a damaged archive.
    except Exception as error:
        raise UsageError(f"{path}: not a file that torch.export.save wrote ({first_line(error)})") from error


@contextlib.contextmanager
def _unpickling_tensors_alone(enabled: bool) -> Iterator[None]:
    """Inside the block, torch.load unpickles only tensors.

    torch.export.load would fall back to full unpickling, and warn only afterwards.
    """
    import torch

    if not enabled:
        yield
        return
    read = torch.load

    def tensors_alone(*args: Any, **options: Any) -> Any:
        return read(*args, **{**options, "weights_only": True})

    torch.load = tensors_alone
    try:
        yield
    finally:
        torch.load = read


@contextlib.contextmanager
def _logged_instead_of_raised() -> Iterator[list[BaseException]]:
    """Collects the errors that torch.export.load logs before it raises "check the warnings above"."""
    causes: list[BaseException] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            causes.append(record.exc_info[1])
        return False

    logger = logging.getLogger("torch.export")
    logger.addFilter(keep)
    try:
        yield causes
    finally:
        logger.removeFilter(keep)
