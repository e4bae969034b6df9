"""Random networks by seed: `--model campaign.grammar:network --model-arg seed=17`.

A network is an entry (what it takes), a chain of pieces, a container that holds them and an exit (what it
gives). Each piece draws from a generator of its own, so that `--model-arg keep=0,3` leaves out the others and
changes nothing in those: that is how a finding is made smaller.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from campaign.layers import Shape
from campaign.pieces import PIECES
from campaign.wrappers import wrapped
from mocovit_deploy.models.seeded import enliven

MOST_NUMBERS = 16384
"""In one value of a network; pieces that would give more are left out."""
Pair = collections.namedtuple("Pair", ["result", "side"])


@dataclass(frozen=True)
class Entry:
    """What a network takes: how to draw inputs, and what makes the first value of them."""

    name: str
    draw: Callable[[torch.Generator], tuple[Tensor, ...]]
    first: Callable[[Sequence[Tensor]], Tensor]
    keyed: bool = False
    """The network takes one dictionary that holds them."""


class Embedded(nn.Module):
    """Whole numbers become vectors."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(words, width)

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids)


class Network(nn.Module):
    """An entry, steps in a container, and an exit."""

    def __init__(
        self, entry: Entry, embedding: nn.Module, steps: list[nn.Module], container: str, ends: str
    ) -> None:
        super().__init__()
        self.entry, self.container, self.ends = entry, container, ends
        self.embedding = embedding
        self.count = len(steps)
        if container == "sequential":
            self.body = nn.Sequential(*steps)
        elif container == "list":
            self.body = nn.ModuleList(steps)
        elif container == "dictionary":
            self.body = nn.ModuleDict({f"stage_{i}": step for i, step in enumerate(steps)})
        else:
            for i, step in enumerate(steps):
                setattr(self, f"block{i}", step)

    def run(self, given: Sequence[Tensor]) -> Any:
        x = self.entry.first((self.embedding(given[0]), *given[1:]))
        values = [x]
        for step in self.steps():
            x = step(x)
            values.append(x)
        middle = values[len(values) // 2].mul(0.5)
        if self.ends == "tuple":
            return x, middle
        if self.ends == "list":
            return [x, middle, x.mean()]
        if self.ends == "dictionary":
            return {"result": x, "middle": middle}
        if self.ends == "nested":
            return {"heads": [x, middle.flatten(1)], "sum": x.sum((0,))}
        if self.ends == "named":
            return Pair(x, middle)
        if self.ends == "best":
            return {"scores": x, "best": x.flatten(1).argmax(1)}
        return x

    def steps(self) -> list[nn.Module]:
        if self.container == "attributes":
            return [getattr(self, f"block{i}") for i in range(self.count)]
        return list(self.body.values() if isinstance(self.body, nn.ModuleDict) else self.body)


class OfOne(Network):
    def forward(self, x: Tensor) -> Any:
        return self.run((x,))


class OfTwo(Network):
    def forward(self, x: Tensor, other: Tensor) -> Any:
        return self.run((x, other))


class Keyed(Network):
    """Takes a dictionary of tensors."""

    def forward(self, batch: dict[str, Tensor]) -> Any:
        return self.run(tuple(batch.values()))


def _float(*shape: int) -> Callable[[torch.Generator], tuple[Tensor, ...]]:
    return lambda generator: (torch.randn(shape, generator=generator),)


def _with(*more: Callable[[torch.Generator], tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
    return lambda generator: tuple(tensor for one in more for tensor in one(generator))


def _whole(most: int, dtype: torch.dtype, *shape: int) -> Callable[[torch.Generator], tuple[Tensor, ...]]:
    return lambda generator: (torch.randint(most, shape, generator=generator).to(dtype),)


def _gated(given: Sequence[Tensor]) -> Tensor:
    x, gate = given
    return x * torch.sigmoid(gate)


def _entry(draw: Random) -> Entry:
    size, other = draw.choice((9, 12, 15, 16)), draw.choice((7, 10, 16))
    width, batch = draw.choice((3, 4, 6)), draw.choice((1, 1, 1, 2))

    def image(given: Sequence[Tensor]) -> Tensor:
        return given[0]

    def pixels(given: Sequence[Tensor]) -> Tensor:
        return given[0].float() / 127.5 - 1.0

    square, odd = _float(1, 3, size, size), _float(batch, width, size, other)
    ids = _whole(11, draw.choice((torch.int64, torch.int32)), batch, size)
    return draw.choice(
        (
            *[Entry("image", square, image)] * 4,
            *[Entry("odd image", odd, image)] * 3,
            Entry("uint8 image", _whole(256, torch.uint8, 1, 3, size, other), pixels),
            Entry("tokens", _float(batch, size, 2 * width), image),
            Entry("sequence", _float(batch, width, 4 * size), image),
            Entry("volume", _float(1, 2, 5, 6, 7), image),
            Entry("vector", _float(batch, 8 * width), image),
            Entry("words", ids, image),
            Entry("image and gate", _with(odd, _float(batch, width, 1, 1)), _gated),
            Entry("two images", _with(odd, odd), lambda given: torch.cat([given[0], given[1].tanh()], 1)),
            Entry("dictionary", _with(odd, odd), lambda given: given[0] - 0.5 * given[1], keyed=True),
            Entry("image and mask", _with(odd, _whole(2, torch.bool, batch, 1, size, other)), _shown),
        )
    )


def _shown(given: Sequence[Tensor]) -> Tensor:
    x, mask = given
    return torch.where(mask, x, x * 0.1)


CONTAINERS = ("sequential", "list", "dictionary", "attributes")
ENDS = ("tensor", "tensor", "tensor", "tuple", "list", "dictionary", "nested", "named", "best")


def inputs_for(module: Network, count: int, seed: int) -> list[tuple[Tensor, ...]]:
    """`count` draws of inputs for a network of this grammar, none of them its example."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return [module.entry.draw(generator) for _ in range(count)]


def network(seed: str = "0", keep: str = "") -> Network:
    """The network of a seed, in eval mode, alive; with `keep` only those of its pieces."""
    draw = Random(f"network {seed}")
    kept = [int(one) for one in keep.split(",")] if keep else None
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(int(seed))
        entry, container, ends = _entry(draw), draw.choice(CONTAINERS), draw.choice(ENDS)
        length = draw.randrange(2, 9)
        generator = torch.Generator().manual_seed(int(seed))
        example = entry.draw(generator)
        embedding = Embedded(11, 6) if entry.name == "words" else nn.Identity()
        value = entry.first((embedding(example[0]), *example[1:]))
        steps = []
        for number in range(length):
            if kept is not None and number not in kept:
                continue
            found = _step(Random(f"piece {seed} {number}"), int(seed) + number, value)
            if found is not None:
                step, value = found
                steps.append(step)
        kind = Keyed if entry.keyed else OfOne if len(example) == 1 else OfTwo
        module = kind(entry, embedding, steps, container, ends).eval()
        module.length = length  # type: ignore[assignment]
        enliven(module, [arguments_of(module, entry.draw(generator)) for _ in range(4)])
        module.example_inputs = arguments_of(module, example)  # type: ignore[assignment]
    return module


def arguments_of(module: Network, given: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """Inputs as the network's forward takes them."""
    return ({"left": given[0], "right": given[1]},) if module.entry.keyed else given


def _step(draw: Random, seed: int, value: Tensor) -> tuple[nn.Module, Tensor] | None:
    """A piece that fits `value`, and what comes out of it; None where none of several did."""
    shape: Shape = tuple(value.shape)
    for _ in range(6):
        torch.manual_seed(seed)
        fitting = [piece for piece in PIECES if len(shape) in piece.ranks]
        try:
            (piece,) = draw.choices(fitting, [one.share for one in fitting])
            step = wrapped(draw, shape) if draw.random() < 0.25 else piece.build(draw, shape)
            result = _loud(step.eval(), value)
        except (RuntimeError, ValueError, IndexError, AssertionError, ZeroDivisionError):
            continue  # torch refuses the shape
        if 2 <= result.dim() <= 5 and 1 <= result.numel() <= MOST_NUMBERS and bool(result.isfinite().all()):
            return step, result
    return None


def _loud(step: nn.Module, value: Tensor) -> Tensor:
    """The result of a step, whose weights are made larger where it would fall silent."""
    spread = float(step(value.clone()).std()) if value.numel() > 1 else 1.0
    if 0 < spread < 0.3:
        for name, parameter in step.named_parameters():
            if parameter.dim() > 1 and "original" not in name and "weight_" not in name:
                parameter.mul_(min(1 / spread, 8.0))
    return step(value.clone())


def traced(seed: str = "0", keep: str = "") -> nn.Module:
    """The same network as TorchScript, as `torch.jit.trace` makes it."""
    module = network(seed, keep)
    generator = torch.Generator().manual_seed(int(seed))
    example = arguments_of(module, module.entry.draw(generator))
    script: nn.Module = torch.jit.trace(module, example, strict=False)
    script.example_inputs = example
    return script


def bfloat16(seed: str = "0", keep: str = "") -> nn.Module:
    """The same network in bfloat16, as large models are stored."""
    return network(seed, keep).bfloat16()


def save_program(path: str, seed: str, keep: str = "") -> None:
    """The same network as `torch.export.save` writes it."""
    module = network(seed, keep)
    generator = torch.Generator().manual_seed(int(seed))
    example = arguments_of(module, module.entry.draw(generator))
    torch.export.save(torch.export.export(module, example), path)
