"""A network as the trial builds it by itself, beside the files that an export made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

from campaign.judge import in_float32, judge_file, span

if TYPE_CHECKING:
    from campaign.networks import Case

FRESH = 3


@dataclass(frozen=True)
class Subject:
    network: nn.Module
    structure: tuple[Any, ...]
    """One run of inputs, as forward takes them."""
    fresh: tuple[tuple[Any, ...], ...]
    names: tuple[str, ...]
    """What a refusal may name: modules, inputs, outputs, the network."""
    pieces: int

    @classmethod
    def of(cls, case: Case) -> Subject:
        if case.kind == "timm":
            from mocovit_deploy.models.load import load_network
            from mocovit_deploy.spec import ModelSpec, OwnInput

            loaded = load_network(ModelSpec(f"timm/{case.name}", input=OwnInput(size=case.size)))
            generator = torch.Generator().manual_seed(4711)
            runs = [(torch.randn(loaded.input.shape, generator=generator),) for _ in range(FRESH)]
            names = [
                *loaded.input_names,
                *loaded.output_names,
                "the network",
                loaded.name,
                f"timm/{case.name}",
            ]
            return cls(loaded.module, runs[0], tuple(runs), _names(loaded.module, names), 0)
        from campaign import grammar

        module = grammar.network(case.name, case.keep)
        drawn = grammar.inputs_for(module, FRESH, int(case.name))
        runs = [grammar.arguments_of(module, one) for one in drawn]
        if case.kind == "bfloat16":
            module = module.bfloat16().float()  # the very weights: files compute in float32, and say so
        inputs = ["x", "other", "left", "right"]
        names = [*inputs, "the network", f"campaign.grammar:{case.kind}", *OUTPUTS]
        return cls(module, runs[0], tuple(runs), _names(module, names), module.length)

    def judged(self, path: Path) -> dict[str, Any]:
        """The trial's opinion of a file: on fresh inputs, on its golden ones, and of its golden outputs."""
        with np.load(path.with_name(path.name + ".golden.npz")) as arrays:
            stored = {name: arrays[name] for name in arrays.files}
        golden = self._golden_runs(path, stored)
        outputs = [array for name, array in stored.items() if name.startswith("output/")]
        own = [np.stack(column) for column in zip(*in_float32(self.network, golden), strict=True)]
        fresh, on_golden = judge_file(path, self.network, self.fresh, golden)
        apart = max(_apart(a, b) for a, b in zip(outputs, own, strict=True))
        return {"golden": apart, "fresh": fresh, "on_golden": on_golden}

    def _golden_runs(self, path: Path, stored: dict[str, np.ndarray]) -> list[tuple[Any, ...]]:
        import json

        manifest = json.loads(path.with_name(path.name + ".json").read_text())
        leaves, structure = pytree.tree_flatten(self.structure)
        columns = []
        for spec, leaf in zip(manifest["inputs"], leaves, strict=True):
            array = stored[f"input/{spec['name']}"]
            array = np.moveaxis(array, -1, -3) if spec["layout"] == "nhwc" else array
            columns.append(torch.from_numpy(np.ascontiguousarray(array)).to(leaf.dtype))
        runs = zip(*columns, strict=True)
        return [pytree.tree_unflatten(list(run), structure) for run in runs]


OUTPUTS = ("output", "logits", "result", "middle", "scores", "best", "side", "heads", "sum")


def _names(module: nn.Module, more: list[str]) -> tuple[str, ...]:
    return (*(name for name, _ in module.named_modules() if name), *more)


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max()) / span(other)
