"""Branches that the outputs hardly depend on, judged by the values at their ends in the file.

    x - fc1 - gelu - fc2 - mul by 1e-5 - add       the value of mul is compared, relative to its own range
    x ---------------------------------- add

The file runs from its inputs, so the form of the values inside a branch does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden
from mocovit_deploy.errors import DeployError, ParityError
from mocovit_deploy.layers.check import LayerReference, check_against
from mocovit_deploy.layers.original import Layer
from mocovit_deploy.layers.report import describe_reading
from mocovit_deploy.layers.sensitivity import Branch
from mocovit_deploy.layers.symptoms import MISPLACED
from mocovit_deploy.layers.taps import LayerReading
from mocovit_deploy.parity.decide import FAIL, NOT_RUN, PASS, Verdict
from mocovit_deploy.parity.verdict import HiddenBranch
from mocovit_deploy.terminal.table import shortened


@dataclass(frozen=True)
class Inside:
    """The branches that the outputs hardly depend on, and the original's layers to judge them by."""

    branches: tuple[Branch, ...]
    bound: float
    """The change of the outputs, relative to their range, below which they hardly depend on a branch."""
    reference: LayerReference | None
    """None without branches, or for the reason `why_not`."""
    why_not: str = ""
    """Why the layers of a file cannot be compared; empty if they can."""


def judge_branches(artifact: Artifact, golden: Golden, inside: Inside) -> tuple[HiddenBranch, ...]:
    """A verdict on each branch, at the tolerance of layers that run from the file's inputs.

    "not run" with the reason if the layers of the file cannot be compared.
    """
    try:
        if inside.reference is None:
            raise ParityError(inside.why_not)
        report = check_against(artifact, golden, inside.reference, bisect=False)
    except DeployError as error:
        return tuple(_hidden(branch, NOT_RUN, str(error)) for branch in inside.branches)
    layers = {layer.operation: layer for layer in inside.reference.inside.layers}
    readings = {one.tap.layer.operation: one for one in report.readings}
    return tuple(_judged(branch, inside, layers, readings) for branch in inside.branches)


def _judged(
    branch: Branch, inside: Inside, layers: Mapping[str, Layer], readings: Mapping[str, LayerReading]
) -> HiddenBranch:
    ends, unseen = [], []
    pending = [branch.operation]
    while pending:
        operation = pending.pop()
        if reading := readings.get(operation):
            # So large an error would change the outputs, which are right: so this is another layer's value.
            shown = not reading.carried.max_error * branch.change <= inside.bound
            # The numbers are right, and their reader may expect them in this order.
            if shown or reading.kind == MISPLACED:
                unseen.append(layers[operation].module)
            else:
                ends.append(reading)
            continue
        layer = layers.get(operation)
        if layer is None:  # a rewrite for this file replaced it
            unseen.append(branch.module)
            continue
        if not layer.moves_only:
            unseen.append(layer.module)
        pending += [name for name in layer.reads if name in branch.members]
    if wrong := next((one for one in ends if one.diverges), None):
        return _hidden(
            branch,
            FAIL,
            f"{describe_reading(wrong)}, at the end of a branch of {shortened(branch.modules, 3)}",
        )
    if unseen or not ends:
        where = ", ".join(unseen or [branch.module])
        return _hidden(branch, NOT_RUN, f"no value in the file can be identified as {where}")
    worst = max(one.carried.max_error for one in ends)
    return _hidden(branch, PASS, f"off by {worst:.1e} of its range")


def _hidden(branch: Branch, verdict: Verdict, reason: str) -> HiddenBranch:
    return HiddenBranch(branch.module, branch.change, branch.modules, verdict, reason)
