"""What a file was made from, as its manifest records it, and how to get a `ModelSpec` back from that.

    "source": {
      "model": {"name": "mocovit_0_5", "checkpoint": "digits.safetensors", "num_classes": 10, ...},
      "options": {"layout": "nhwc", "opset": 18, ...},
      "files": {"digits.safetensors": "4e00161774ae..."},
      "tools": {"timm": "1.0.31"},
      "code_sha256": "..."
    }

`model` holds what the user gave, unresolved: the size that a network's source declares is not in it. `files`
holds the digests of the checkpoint and of the user's own .py or .pt2 file, but not of modules that it
imports. `code_sha256` is the digest of this package's own modules, because a checkout changes under one
version number. Works without torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import mocovit_deploy
from mocovit_deploy.artifacts.artifact import Artifact, preprocessing_from
from mocovit_deploy.errors import UsageError
from mocovit_deploy.files import digest
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec, OwnInput

EXPORT_OPTIONS = (
    "layout",
    "opset",
    "simplify",
    "dynamic_batch",
    "minimum_deployment_target",
    "converter",
    "without",
    "deploy_hooks",
    "labels",
    "author",
    "licence",
    "model_version",
    "description",
)
"""The fields of an `ExportRequest` that change what is in a file."""
NOT_REMEMBERED = ("unsafe_pickle",)
"""Fields of a `ModelSpec` that are not recorded: only the user may allow pickled code to run, and a manifest
may come from anywhere."""
OWN_PACKAGES = ("mocovit_deploy", "exporters")
"""The packages whose code decides what is in a file."""

_Kind = TypeVar("_Kind")


LIVE = "live module "
"""Prefix of the name of a module that a Python program passed to `export`. It cannot be built again."""


def provenance_of(request: ExportRequest) -> dict[str, Any]:
    """A request as plain data that can be compared: options, digests of its files, versions.

    Missing files are left out; their loader reports them.
    """
    paths = [path for path in (request.model.checkpoint, _model_file(request.model.name)) if path]
    return {
        "model": model_as_json(request.model),
        "options": {name: _plain(getattr(request, name)) for name in EXPORT_OPTIONS},
        "files": {str(path): digest(path) for path in paths if path.exists()},
        "tools": {"timm": version("timm")} if request.model.name.startswith("timm/") else {},
        "code_sha256": code_digest(),
    }


def model_of(artifact: Artifact) -> ModelSpec:
    """The network a file was made from. Its paths are as the user gave them, relative to the current folder.

    Loading the network runs the user's own code if `name` names some, so do it for trusted files only. Raises
    `UsageError` if the manifest does not record the network (older versions did not), or if the checkpoint or
    the user's own file is gone or has changed.
    """
    if artifact.source is None:
        raise UsageError(
            f"{artifact.path}: its manifest, which an older version wrote, does not record the network; "
            "export again"
        )
    try:
        spec = model_from_json(artifact.source["model"])
        files = {str(name): str(sha256) for name, sha256 in artifact.source["files"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{artifact.path}: its manifest does not name a network ({error!r}); export again"
        ) from None
    if spec.name.startswith(LIVE):
        raise UsageError(
            f"{artifact.path}: was exported from a module that a Python program held, which cannot be built "
            "again here; to compare layers, export with --model file.py:function"
        )
    for name, sha256 in files.items():
        path = Path(name)
        if not path.exists():
            raise UsageError(
                f"{artifact.path}: was made from {path}, which does not exist here; run this in the folder "
                "where it was exported"
            )
        if digest(path) != sha256:
            raise UsageError(
                f"{artifact.path}: {path} has changed since this file was made from it (its digest differs); "
                "export again"
            )
    return spec


def labels_of(artifact: Artifact) -> tuple[str, ...]:
    """The names of the classes that a file was exported with; empty if its manifest lists none."""
    source = artifact.source if isinstance(artifact.source, Mapping) else {}
    options = source.get("options")
    labels = options.get("labels") if isinstance(options, Mapping) else None
    return tuple(map(str, labels)) if isinstance(labels, list | tuple) else ()


def model_as_json(spec: ModelSpec) -> dict[str, Any]:
    """Every field of a `ModelSpec` as JSON data, except `NOT_REMEMBERED`."""
    names = [field.name for field in dataclasses.fields(spec) if field.name not in NOT_REMEMBERED]
    fields = {name: _plain(getattr(spec, name)) for name in names}
    kind = "given" if isinstance(spec.input, InputSpec) else "own"
    return {**fields, "input": {"kind": kind, **_plain(dataclasses.asdict(spec.input))}}


def model_from_json(document: Mapping[str, Any]) -> ModelSpec:
    """The `ModelSpec` that `model_as_json` wrote.

    Raises `KeyError`, `TypeError` or `ValueError` for any other document.
    """
    known = {field.name for field in dataclasses.fields(ModelSpec)} - set(NOT_REMEMBERED)
    unknown = document.keys() - known
    if unknown:
        raise ValueError(f"unknown {', '.join(sorted(unknown))}")
    checkpoint = document["checkpoint"]
    return ModelSpec(
        name=_of(str, document["name"]),
        arguments=tuple((_of(str, name), _of(str, value)) for name, value in document["arguments"]),
        checkpoint=None if checkpoint is None else Path(_of(str, checkpoint)),
        num_classes=_of_or_none(document["num_classes"]),
        input=_input_from_json(document["input"]),
        seed=_of(int, document["seed"]),
        pretrained=_of(bool, document["pretrained"]),
        prefer_ema=_of(bool, document["prefer_ema"]),
        normalize=_of(bool, document.get("normalize", False)),
        boxes=_of(str, document.get("boxes", "")),
        features=tuple(_of(int, stride) for stride in document.get("features", ())),
        input_names=tuple(_of(str, name) for name in document["input_names"]),
        output_names=tuple(_of(str, name) for name in document["output_names"]),
    )


def _input_from_json(image: Mapping[str, Any]) -> InputSpec | OwnInput:
    if image["kind"] == "own":
        mean, std = ((None if image.get(n) is None else tuple(map(float, image[n]))) for n in ("mean", "std"))
        scale, order = image.get("scale"), image.get("colour_order")
        return OwnInput(
            size=_of_or_none(image["size"]),
            batch=_of_or_none(image["batch"]),
            scale=None if scale is None else float(scale),
            mean=mean,
            std=std,
            colour_order=None if order is None else _of(str, order),
            width=_of_or_none(image.get("width")),
        )
    if image["kind"] != "given":
        raise ValueError(f"input is {image['kind']!r}")
    how = preprocessing_from(image["preprocessing"])
    size, channels, batch = (_of(int, image[name]) for name in ("size", "channels", "batch"))
    dtype = _of(str, image.get("dtype", InputSpec.dtype))
    return InputSpec(size, channels, batch, how, dtype, _of_or_none(image.get("width")))


def _of(kind: type[_Kind], value: Any) -> _Kind:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


def _of_or_none(value: Any) -> int | None:
    return None if value is None else _of(int, value)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


@cache
def code_digest() -> str:
    """SHA-256 over the modules of this package that decide what is in a file."""
    root = Path(mocovit_deploy.__file__).parent.parent
    total = hashlib.sha256()
    for package in OWN_PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            total.update(f"{path.relative_to(root).as_posix()}\0{digest(path)}\n".encode())
    return total.hexdigest()


def _model_file(name: str) -> Path | None:
    """The user's own file in a model's name: a .pt2, a .py, or the file of a module; else None."""
    if name.endswith(".pt2"):
        return Path(name)
    place, colon, _ = name.rpartition(":")
    if not colon:
        return None
    return Path(place) if place.endswith(".py") else _module_file(place)


def _module_file(name: str) -> Path | None:
    """The file of a module, found without importing the module or its packages; None if there is none."""
    folders: list[str] | None = [str(Path.cwd()), *sys.path]
    parts, origin = name.split("."), None
    for depth in range(1, len(parts) + 1):
        found = PathFinder.find_spec(".".join(parts[:depth]), folders) if folders is not None else None
        if found is None:
            return None
        folders, origin = found.submodule_search_locations, found.origin
    return Path(origin) if origin else None
