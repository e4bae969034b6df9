"""Part 2: defects of every kind and size, planted in files that were exported here, in any layer.

What must hold of a planted file whose outputs move beyond the tolerance, by the trial's own sessions:

    verdict     it is not "pass"
    --bisect    the first divergence names the module that the defect was planted in

and of a healthy file: `--bisect` finds no divergence in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from planting.defects import DEFECTS, NoSuchPlace, Variances
from planting.suite import SURGEONS
from planting.surgery import Constant, Surgeon

from campaign.families import families, members
from campaign.judge import ROUNDING, RUNTIMES, TOLERANCES, in_float32, in_float64, span
from campaign.networks import Case
from campaign.networks import cases as networks
from campaign.process import answer, command, forked
from campaign.rows import Row

DEADLINE_S = 900.0
SIZES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
ZOO = (
    "mocovit_0_5",
    "timm/ghostnet_050",
    "timm/mobilevit_xxs",
    "timm/efficientvit_b0",
    "timm/fastvit_t8",
    "timm/mobilenetv3_small_050",
    "timm/efficientformerv2_s0",
    "timm/mobilenetv4_conv_small_050",
)
ROOT = "(network)"
"""What a divergence calls the network's own forward."""
COMMAND_EVERY = 20
"""One of so many defects is given to the real command too, whose answer must be the same."""


def cases(seed: int, count: int, formats: Sequence[str]) -> Iterator[tuple[Case, str]]:
    """`count` networks and the format of each: the zoo, members of families and random modules, in turn."""
    draw = Random(f"defects {seed}")
    chosen = [_of_zoo(name) for name in ZOO]
    chosen += [case for case in networks(seed + 5000, 3 * count, 0) if case.kind == "network"]
    if count > 3 * len(ZOO):
        for family in draw.sample(families(), 12):
            chosen += [
                Case(
                    f"timm-{one.name}",
                    ("--model", f"timm/{one.name}", "--image-size", str(one.size)),
                    "timm",
                    one.name,
                    one.size,
                )
                for one in members(family, seed, 1)
            ]
    draw.shuffle(chosen)
    for case in chosen[:count]:
        yield replace(case, precision="fp32"), draw.choice(formats)


def _of_zoo(name: str) -> Case:
    return Case(name.replace("/", "-"), ("--model", name, "--image-size", "64"), "zoo", name, 64)


def tried(case: Case, form: str, folder: Path, seed: int, count: int) -> Row:
    """Export a network in one format, plant `count` defects, and say what became of each."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = [*case.words, "--format", form, "--output-dir", "out"]
    done = forked(command("mocovit-export", words), folder, DEADLINE_S)
    row = {"words": words, "format": form, "status": done.status}
    found = [one for one in (folder / "out").glob("*") if one.suffix in (".onnx", ".mlpackage", ".tflite")]
    if done.status or len(found) != 1:
        return {**row, "left_out": done.stderr.strip().splitlines()[-1:], "planted": [], "wrong": []}
    question = Question(case, found[0], seed, count)
    planted, asking = answer(question, folder, DEADLINE_S)
    if planted is None:
        last = asking.stderr.strip().splitlines()[-1:] or [f"status {asking.status}"]
        return {**row, "planted": [], "wrong": [f"the trial itself: {last[0]}"[:400]]}
    return {**row, **planted}


@dataclass(frozen=True)
class Question:
    """Plant defects in the file at `path`, in a fork."""

    case: Case
    path: Path
    seed: int
    count: int

    def __call__(self) -> Row:
        ground = _Ground(self.path)
        healthy = ground.bisected(self.path)
        wrong = [f"healthy file accused: {healthy['said']}"] if healthy["named"] else []
        if healthy["said"].startswith("error"):
            return {"left_out": [healthy["said"]], "planted": [], "wrong": []}
        planted = []
        draw = Random(f"{self.case.key} {self.path.suffix} {self.seed}")
        for number in range(self.count):
            one = self._planted(ground, draw, number)
            if one is not None:
                planted.append(one)
                wrong += planted_wrong(one)
        return {"healthy": healthy, "planted": planted, "wrong": wrong}

    def _planted(self, ground: _Ground, draw: Random, number: int) -> dict[str, Any] | None:
        surgeon = SURGEONS[ground.format](self.path)
        found = plant(surgeon, draw, ground.norms)
        if found is None:
            return None
        defect, size, module = found
        spoilt = self.path.parent.parent / "spoilt" / self.path.name
        shutil.rmtree(spoilt.parent, ignore_errors=True)
        spoilt.parent.mkdir()
        surgeon.save(spoilt)
        for ending in (".json", ".golden.npz"):
            shutil.copy(f"{self.path}{ending}", f"{spoilt}{ending}")
        change = ground.change(spoilt)
        one = {"defect": defect, "size": size, "module": module, "change": change, "bound": ground.bound}
        if change is None:  # the file does not run at all: nothing to be missed
            return None
        one |= ground.verdict(spoilt) | ground.bisected(spoilt)
        if number % COMMAND_EVERY == 0:
            done = forked(command("mocovit-parity", [str(spoilt)]), self.path.parent.parent, DEADLINE_S)
            one["command"] = done.status
        return one


def planted_wrong(one: dict[str, Any]) -> list[str]:
    """What does not hold of a planted file."""
    what = f"{one['defect']} {one['size']:g} in {one['module']!r}, outputs off by {one['change']:.1e}"
    found = []
    if beyond(one) and one["verdict"] == "pass":
        found.append(f"missed: {what}")
    if "command" in one and (one["command"] == 0) != (one["verdict"] == "pass"):
        found.append(f"the command ends with {one['command']}, the verdict is {one['verdict']}: {what}")
    if beyond(one) and one["module"] not in one["named"]:
        found.append(f"bisect: {what}: {one['said']}")
    return found


def beyond(one: dict[str, Any]) -> bool:
    """Does a planted defect move the outputs beyond the tolerance?"""
    return not one["change"] <= one["bound"]


class _Ground:
    """A healthy file, what it gives on its golden inputs, and how its network looks inside."""

    def __init__(self, path: Path) -> None:
        from planting.suite import norms_of

        from mocovit_deploy.artifacts.golden import read_golden
        from mocovit_deploy.artifacts.manifest import read_manifest
        from mocovit_deploy.layers.check import original

        self.artifact = read_manifest(path)
        self.golden = read_golden(self.artifact)
        self.format = self.artifact.format
        self.reference = original(self.artifact, self.golden)
        self.norms = norms_of(self.artifact, self.reference)
        self.outputs = self._run(path)
        self.bound = max(TOLERANCES[self.artifact.recipe], ROUNDING * self._torch_error())

    def change(self, path: Path) -> float | None:
        """How far a file's outputs are from the healthy file's and from the network's, whichever is nearer.

        Of their range; None where the file does not run.
        """
        try:
            found = self._run(path)
        except Exception:  # noqa: BLE001 - whatever a runtime raises
            return None
        worst = 0.0
        for name, expected in self.outputs.items():
            one, other = (np.asarray(side, np.float64) for side in (found[name], expected))
            if one.shape != other.shape:
                return float("inf")
            original = self.golden.outputs[name].astype(np.float64)
            off = min(np.abs(one - other).max(), np.abs(one - original).max()) / span(original)
            worst = max(worst, float(off) if np.isfinite(off) else float("inf"))
        return worst

    def verdict(self, path: Path) -> dict[str, Any]:
        """What the product says of a file, as it does in the child of `mocovit-parity`."""
        from mocovit_deploy.errors import DeployError
        from mocovit_deploy.parity.sandboxed import child_check

        try:
            report = child_check(str(path))["report"]
        except DeployError as error:
            return {"verdict": "error", "reason": str(error)}
        return {"verdict": report["verdict"], "reason": report["reason"]}

    def bisected(self, path: Path) -> dict[str, Any]:
        """The modules that the first divergence of a file names, and what is said."""
        from mocovit_deploy.errors import DeployError
        from mocovit_deploy.layers.check import check_against
        from mocovit_deploy.layers.taps import first_divergence

        try:
            report = check_against(
                replace(self.artifact, path=path), self.golden, self.reference, bisect=True
            )
        except DeployError as error:
            return {"named": [], "said": f"error: {error}"}
        first = first_divergence(report.readings)
        named = [one if one != ROOT else "" for one in first.span] if first else []
        return {"named": named, "said": report.reason}

    def _run(self, path: Path) -> dict[str, list[np.ndarray]]:
        predict = RUNTIMES[self.format](path)
        runs = [
            predict({name: array[i] for name, array in self.golden.inputs.items()})
            for i in range(len(self.golden))
        ]
        return {name: [np.asarray(run[name]) for run in runs] for name in self.golden.outputs}

    def _torch_error(self) -> float:
        """Of the network itself in float32, on the golden inputs, relative to its range."""
        import torch

        from mocovit_deploy.artifacts.artifact import from_layout
        from mocovit_deploy.artifacts.provenance import model_of
        from mocovit_deploy.models.load import load_network

        network = load_network(model_of(self.artifact)).module
        specs = self.artifact.inputs
        runs = [
            tuple(torch.from_numpy(from_layout(self.golden.inputs[one.name][i], one)) for one in specs)
            for i in range(len(self.golden))
        ]
        worst = 0.0
        for narrow, wide in zip(in_float32(network, runs), in_float64(network, runs), strict=True):
            for one, other in zip(narrow, wide, strict=True):
                worst = max(worst, float(np.abs(one - other).max() / span(other)))
        return worst


def plant(surgeon: Surgeon, draw: Random, norms: Variances) -> tuple[str, float, str] | None:
    """Plant one defect. Returns its kind, size and module; None where the file has no place for it."""
    if draw.random() < 0.4:
        defect = draw.choice(DEFECTS)
        try:
            module = defect(surgeon, draw.randrange(1000), norms)
        except NoSuchPlace:
            return None
        return None if module is None else (defect.__name__, 0.0, module)
    constants = surgeon.constants()
    if not constants:
        return None
    constant, size = draw.choice(constants), draw.choice(SIZES)
    kind = draw.choice(tuple(SIZED))
    fresh = SIZED[kind](np.array(constant.array, np.float32), size, draw)
    surgeon.store(Constant(constant.mark, fresh, constant.handle))
    return kind, size, constant.mark.rpartition(":")[0]


def _all_scaled(array: np.ndarray, size: float, _draw: Random) -> np.ndarray:
    return array * np.float32(1 + size)


def _one_changed(array: np.ndarray, size: float, draw: Random) -> np.ndarray:
    array.reshape(-1)[draw.randrange(array.size)] += size * float(np.abs(array).max() or 1.0)
    return array


def _noise(array: np.ndarray, size: float, draw: Random) -> np.ndarray:
    generator = np.random.default_rng(draw.randrange(1 << 30))
    return array + np.float32(size * np.abs(array).max()) * generator.standard_normal(array.shape).astype(
        "f4"
    )


def _shifted(array: np.ndarray, size: float, _draw: Random) -> np.ndarray:
    return array + np.float32(size * float(np.abs(array).max() or 1.0))


def _row_scaled(array: np.ndarray, size: float, draw: Random) -> np.ndarray:
    if array.ndim:
        array[draw.randrange(len(array))] *= np.float32(1 + size)
    return array


def _rounded(array: np.ndarray, size: float, _draw: Random) -> np.ndarray:
    step = size * float(np.abs(array).max() or 1.0)
    return (np.round(array / step) * step).astype(np.float32)


SIZED = {
    "all scaled": _all_scaled,
    "one number changed": _one_changed,
    "noise": _noise,
    "all shifted": _shifted,
    "one row scaled": _row_scaled,
    "rounded to steps": _rounded,
}
