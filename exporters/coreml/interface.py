"""The inputs, outputs and systems that Core ML files can have, checked before coremltools converts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exporters.coreml.images import is_image
from exporters.coreml.toolchain import coremltools
from mocovit_deploy.errors import ConversionError, UsageError, unknown_choice
from mocovit_deploy.spec import BATCH, TensorSpec

if TYPE_CHECKING:
    import torch

NARROW = ("int8", "uint8", "int16", "uint16")
"""Integer types that wrap around at values that int32 holds."""
DTYPES = ("float32", "int32")
"""Element types, by numpy's names, that the inputs and outputs of a file may have here."""
IN_FILE = dict.fromkeys((*NARROW, "int64", "bool"), "int32")
"""Element types that Core ML arrays do not have, and the type that holds their values in a file."""

DEPLOYMENT_TARGETS = tuple(
    f"{system}{version}"
    for system, versions in {
        "iOS": (15, 16, 17, 18, 26),
        "macOS": (12, 13, 14, 15, 26),
        "watchOS": (8, 9, 10, 11, 26),
        "tvOS": (15, 16, 17, 18, 26),
    }.items()
    for version in versions
)
"""Systems that run ML programs, by coremltools' names. Listed here so that a typing mistake is reported
without importing coremltools, which takes seconds."""


def in_file(specs: tuple[TensorSpec, ...], colour_order: str = "") -> tuple[TensorSpec, ...]:
    """The tensors as a file declares them: integers of any size are int32.

    A picture (images.py) keeps uint8 if `colour_order` is given.
    """
    return tuple(
        spec if colour_order and is_image(spec) else replace(spec, dtype=IN_FILE.get(spec.dtype, spec.dtype))
        for spec in specs
    )


def require_possible_inputs(graph: torch.fx.GraphModule) -> None:
    """Raise `ConversionError` for a bool input, and for a narrow integer that is computed with uncast."""
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            dtype = str(node.meta["val"].dtype).removeprefix("torch.")
            if dtype == "bool":
                raise ConversionError(f"Core ML files take no bool: give the input {node.name} as numbers")
            if dtype in NARROW:
                _require_widened(node, node)


def _require_widened(image: torch.fx.Node, node: torch.fx.Node) -> None:
    """Raise `ConversionError` if an operation computes with `node`: the input `image`, perhaps rearranged."""
    import torch

    from mocovit_deploy.graph.edit import module_path, returns_view

    aten = torch.ops.aten
    moves = (aten.reshape, aten.cat, aten.flip, aten.roll, aten.index, aten.index_select, aten.clone)
    narrow = image.meta["val"].dtype
    for user in node.users:
        if getattr(user.meta.get("val"), "dtype", None) != narrow:
            continue
        if not returns_view(user) and getattr(user.target, "overloadpacket", None) not in moves:
            raise ConversionError(
                f"{module_path(user)}: {user.target} computes with {image.name} in {narrow}, which Core ML "
                "does not have; cast it first, as in image.float()"
            )
        _require_widened(image, user)


def require_plain_tensors(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
    """Check the specs of a file's tensors.

    Raises `ConversionError` for an element type that is not among `DTYPES`, `UsageError` for an input with a
    free batch or in NHWC.
    """
    for side, specs in (("input", inputs), ("output", outputs)):
        for spec in specs:
            if spec.dtype not in DTYPES and not (side == "input" and is_image(spec)):
                raise ConversionError(
                    f"Core ML files have {' and '.join(DTYPES)} alone: {side} {spec.name} is {spec.dtype}"
                )
    for spec in inputs:
        if BATCH in spec.shape:
            raise UsageError(f"Core ML files have a fixed batch: input {spec.name} has shape {spec.shape}")
        if spec.layout == "nhwc":
            raise UsageError(f"Core ML images are NCHW: input {spec.name} is declared NHWC")


def deployment_target(name: str) -> Any:
    """coremltools' object for a name like "iOS16", in any case. Raises `UsageError` for an unknown name."""
    refuse_target(name)
    exact = next(one for one in DEPLOYMENT_TARGETS if one.lower() == name.lower())
    return coremltools().target.__members__[exact]


def refuse_target(name: str) -> None:
    """Raise `UsageError`, which lists the names, unless `name` in any case is in `DEPLOYMENT_TARGETS`."""
    if name.lower() not in map(str.lower, DEPLOYMENT_TARGETS):
        raise unknown_choice(
            "Core ML deployment target (ML programs need iOS 15)", name, list(DEPLOYMENT_TARGETS)
        )
