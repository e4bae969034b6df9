"""The branches of a network that its outputs hardly depend on, found once for all files of an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import fx

from mocovit_deploy.artifacts.artifact import Array
from mocovit_deploy.layers.branches import Inside
from mocovit_deploy.layers.check import look
from mocovit_deploy.layers.sensitivity import silent_branches
from mocovit_deploy.models.load import Network
from mocovit_deploy.parity.tolerance import LIVELINESS, TOLERANCES
from mocovit_deploy.passes.result import PassResult
from mocovit_deploy.passes.run import Pass
from mocovit_deploy.spec import ExportRequest

FP32 = "fp32"
"""The recipe whose files are also judged by layers. The tolerance of other recipes is a thousand times
wider."""


def look_inside(
    network: Network,
    inputs: Mapping[str, Array],
    captured: fx.GraphModule,
    passes: PassResult,
    request: ExportRequest,
) -> Inside:
    """The branches that the outputs hardly depend on, and the original's layers to judge them by.

    `inputs` holds the parity samples, (samples, N, C, H, W); branches are found on the first. `captured` is
    the graph before the passes. There are no branches without `verify` and without an fp32 file.
    """
    if not request.verify or FP32 not in {recipe for _, recipe in request.files}:
        return Inside((), 0.0, None)
    first = [torch.from_numpy(inputs[name][0]) for name in network.input_names]
    bound = LIVELINESS * min(one.max_error for key, one in TOLERANCES.items() if key[1] == FP32)
    branches = silent_branches(passes.graph, first, bound)
    if not branches:
        return Inside((), bound, None)
    if request.deploy_hooks:
        return Inside(branches, bound, None, "--deploy-hooks changed the network before it was captured")
    if request.dynamic_batch:
        return Inside(branches, bound, None, "with --dynamic batch the values in a file have no fixed shapes")
    return Inside(branches, bound, look(network, captured, inputs, request.without))


def with_rewrites(
    inside: Inside,
    network: Network,
    inputs: Mapping[str, Array],
    captured: fx.GraphModule,
    without: Sequence[str],
    rewrites: Sequence[Pass],
) -> Inside:
    """`inside` for a file with `rewrites`, which change some values of the original."""
    if inside.reference is None or not rewrites:
        return inside
    return replace(inside, reference=look(network, captured, inputs, without, rewrites))
