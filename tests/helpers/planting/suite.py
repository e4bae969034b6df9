"""Plant every defect at several places of a file, and ask per-layer parity which module it is in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.artifacts.golden import Golden, read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.artifacts.provenance import model_of
from mocovit_deploy.layers.check import LayerReference, check_against, lowered_by, original
from mocovit_deploy.layers.taps import first_divergence
from mocovit_deploy.models.load import load_network
from mocovit_deploy.terminal.quiet import quiet
from planting.coreml_file import CoremlSurgeon
from planting.defects import DEFECTS, Variances
from planting.onnx_file import OnnxSurgeon
from planting.surgery import Surgeon
from planting.tflite_file import TfliteSurgeon

SURGEONS = {"onnx": OnnxSurgeon, "coreml": CoremlSurgeon, "tflite": TfliteSurgeon}


@dataclass(frozen=True)
class Outcome:
    """One defect: where it was planted, and which modules the first divergence names."""

    format: str
    defect: str
    planted: str
    named: tuple[str, ...]
    """The divergent layer's module, then others that the file computes in one piece with it."""
    what: str

    @property
    def found(self) -> bool:
        return self.planted in self.named


@dataclass(frozen=True)
class Case:
    """A good file and all that is needed to judge spoilt copies of it."""

    artifact: Artifact
    golden: Golden
    reference: LayerReference
    norms: Variances


def open_case(path: Path, reference: LayerReference | None = None) -> Case:
    """Raises `AssertionError` where the good file itself diverges anywhere."""
    artifact = read_manifest(path)
    golden = read_golden(artifact)
    shared = reference is not None and reference.lowered == lowered_by(artifact)
    known = reference if shared else original(artifact, golden)
    report = check_against(artifact, golden, known, bisect=True)
    assert report.verdict == "pass", report.reason
    return Case(artifact, golden, known, norms_of(artifact, known))


def plant(case: Case, places: Sequence[int], folder: Path) -> Iterator[Outcome]:
    """Every defect at every place that the file has for it."""
    for defect in DEFECTS:
        for place in places:
            surgeon: Surgeon = SURGEONS[case.artifact.format](case.artifact.path)
            module = defect(surgeon, place, case.norms)
            if module is not None:
                yield _judged(case, surgeon, defect.__name__, module, folder)


def swap(case: Case, outputs: tuple[str, str], folder: Path) -> Outcome:
    """Two outputs with each other's names: the module that computes the first of them is to be named."""
    surgeon: Surgeon = SURGEONS[case.artifact.format](case.artifact.path)
    surgeon.swap_outputs(*outputs)
    operations = [case.reference.inside.outputs[name] for name in outputs]
    modules = {one.operation: one.module for one in case.reference.inside.layers}
    return _judged(case, surgeon, "outputs_swapped", modules[operations[0]], folder)


def _judged(case: Case, surgeon: Surgeon, defect: str, module: str, folder: Path) -> Outcome:
    path = folder / f"spoilt{case.artifact.path.suffix}"
    surgeon.save(path)
    spoilt = replace(case.artifact, path=path)
    try:
        with quiet(True):
            report = check_against(spoilt, case.golden, case.reference, bisect=True)
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    first = first_divergence(report.readings)
    named = first.span if first else ()
    return Outcome(case.artifact.format, defect, module, named, first.kind if first else "")


def norms_of(artifact: Artifact, reference: LayerReference) -> Variances:
    """The BatchNorms of the original network, by the operation that each was folded into."""
    network = load_network(model_of(artifact)).module
    found = {}
    for layer in reference.inside.layers:
        module = dict(network.named_modules()).get(layer.original)
        if isinstance(module, torch.nn.BatchNorm2d) and layer.kind == "conv2d":
            variance = module.running_var
            if variance is not None:
                beta = torch.zeros_like(variance) if module.bias is None else module.bias
                values = (variance.detach().float().numpy(), beta.detach().float().numpy())
                found[layer.operation] = (*values, module.eps)
    return found
