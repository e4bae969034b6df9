"""Train a network on digits over photographs, and store it with a record of its training and accuracy.

    python -m examples.digits.train                              train the MoCoViT in this folder again
    python -m examples.digits.train --all                        every network in this folder (networks.py)
    python -m examples.digits.train --model ghostnet_100 --output ghostnet.safetensors

The weights after the last step are the result; none are chosen by looking at held-out images.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from examples.digits import words
from examples.digits.networks import NETWORKS, Trained
from mocovit_deploy.cli.parsers import Parser
from mocovit_deploy.cli.runner import run_command
from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import InputSpec, ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from examples.digits.checkpoint import Record
    from examples.digits.data import LabelArray, Split
    from examples.digits.training import Recipe
    from mocovit_deploy.parity.samples import FloatArray

PROGRAM = "python -m examples.digits.train"
MOCOVIT = NETWORKS[0]
CHECKPOINT = MOCOVIT.checkpoint

BATCH = 64
CLUTTER_FROM, CLUTTER_FULL = 0.08, 0.40
"""The photographs fade in between these two shares of training. Over full photographs from the start, a
network learns nothing from its first tens of thousands of images (curriculum learning, Y. Bengio et al.,
ICML 2009)."""
THREADS = 2
REPORT_EVERY = 50


def fade_in(share: float) -> float:
    """How much of the photographs is seen, from 0 to 1, after `share` of the training steps."""
    return min(1.0, max(0.0, (share - CLUTTER_FROM) / (CLUTTER_FULL - CLUTTER_FROM)))


def stream(
    split: Split, steps: int, batch: int, spec: InputSpec, seed: int
) -> Iterator[tuple[FloatArray, LabelArray]]:
    """`steps` batches of images (batch, 3, S, S) and labels (batch,), with photographs that fade in.

    They are the first `steps * batch` images of the split, each once, in an order that depends on `seed`.
    """
    import numpy as np

    from examples.digits import data

    order = np.random.default_rng(seed).permutation(steps * batch).reshape(steps, batch)
    for step, indices in enumerate(order):
        yield data.batch(split, indices.tolist(), spec, fade_in(step / steps))


def recipe(steps: int) -> Recipe:
    """How the networks in this folder were trained, with `steps` steps."""
    from examples.digits.training import Recipe

    return Recipe(
        steps=steps,
        peak_learning_rate=3e-3,
        warmup_share=0.15,
        weight_decay=0.05,
        label_smoothing=0.1,
        largest_gradient=2.0,
    )


def build(spec: ModelSpec) -> nn.Module:
    """The network with its initial weights, which depend only on `spec.seed`."""
    import torch

    from mocovit_deploy.models.source import source_for

    torch.manual_seed(spec.seed)
    network: nn.Module = source_for(spec.name).build(spec)
    return network


def measure(network: nn.Module, spec: InputSpec, images: int) -> float:
    """The share of the first `images` held-out images that `network` classifies correctly."""
    from examples.digits import data
    from examples.digits.reference import answers
    from mocovit_deploy.accuracy.evaluate import accuracy

    split = data.held_out()
    labels = split.labels[[index % len(split.labels) for index in range(images)]]
    return accuracy(labels, answers(network, split, spec, images))


def make(spec: ModelSpec, steps: int, output: Path, say: Callable[[str], None]) -> Record:
    """Train the network that `spec` names, measure it, and write checkpoint and record to `output`.

    `say` receives a line of progress now and then. Raises `UsageError` where a weight does not fit in fp16,
    `DeployError` where training fails, `MissingToolError` where a package is missing.
    """
    import torch

    from examples.digits import checkpoint, data
    from examples.digits.training import train

    picture, classes = spec.input, spec.num_classes
    assert isinstance(picture, InputSpec)
    assert classes is not None
    torch.set_num_threads(THREADS)
    network, how = build(spec), recipe(steps)
    start = time.perf_counter()
    losses: list[float] = []

    def progress(step: int, loss: float) -> None:
        losses.append(loss)
        if (step + 1) % REPORT_EVERY == 0:
            mean = sum(losses[-REPORT_EVERY:]) / REPORT_EVERY
            say(f"step {step + 1} of {steps}: loss {mean:.3f}, {time.perf_counter() - start:.0f} s")

    train(network, stream(data.training(), steps, BATCH, picture, spec.seed), how, progress)
    training_s = time.perf_counter() - start
    tensors = checkpoint.stored(network)
    network.load_state_dict(tensors, strict=False)  # from here on the network is what is stored
    serialized = checkpoint.serialized(tensors)
    record = checkpoint.Record(
        model=spec.name,
        arguments=spec.arguments,
        num_classes=classes,
        image_size=picture.size,
        sha256=checkpoint.sha256_of(serialized),
        accuracy=measure(network, picture, data.HELD_OUT_IMAGES),
        held_out_images=data.HELD_OUT_IMAGES,
        training_images=steps * BATCH,
        seed=spec.seed,
        recipe={
            **asdict(how),
            "batch": BATCH,
            "clutter_from": CLUTTER_FROM,
            "clutter_full": CLUTTER_FULL,
            "threads": THREADS,
        },
        training_s=round(training_s, 1),
        tools={name: version(name) for name in ("torch", "numpy", "pillow", "scikit-learn", "scikit-image")},
    )
    checkpoint.write(output, serialized, record)
    return record


def _parser() -> Parser:
    parser = Parser(prog=PROGRAM, description="Train a network on digits over photographs.")
    add = parser.add_argument
    add("--all", action="store_true", help="train every network in this folder and replace its checkpoint")
    add("--model", metavar="NAME", help=f"the network to train (default: {MOCOVIT.model})")
    add(
        "--model-arg",
        type=words.option,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the network",
    )
    add(
        "--image-size",
        type=words.positive,
        metavar="PIXELS",
        help=f"height and width of the images (default: {MOCOVIT.size})",
    )
    add(
        "--steps",
        type=words.positive,
        metavar="N",
        help=f"steps of training, each on {BATCH} images (default: {MOCOVIT.steps})",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the initial weights and of the images' order (default: 0)",
    )
    add(
        "--output",
        type=words.checkpoint,
        metavar="FILE",
        help="write this .safetensors file (default: in this folder, named after the network and its size)",
    )
    add("--verbose", action="store_true", help="show tracebacks")
    return parser


def command(arguments: Sequence[str]) -> int:
    """Run the program on these arguments. Returns its exit status."""
    given = _parser().parse_args(arguments)
    for network, output in _asked(given):
        _train(network, given.seed, output)
    return 0


def _asked(given: argparse.Namespace) -> list[tuple[Trained, Path]]:
    """The networks to train, each with the file that it is written to."""
    described = (given.model, given.image_size, given.steps, given.output, *given.model_arg)
    if given.all:
        if any(one is not None for one in described):
            raise UsageError("--all trains the networks in this folder as they are; remove the other options")
        return [(one, one.checkpoint) for one in NETWORKS]
    one = Trained(
        model=given.model or MOCOVIT.model,
        size=given.image_size or MOCOVIT.size,
        steps=given.steps or MOCOVIT.steps,
        arguments=tuple(given.model_arg),
    )
    return [(one, given.output or one.checkpoint)]


def _train(network: Trained, seed: int, output: Path) -> None:
    from examples.digits.data import CLASSES

    spec = ModelSpec(
        name=network.model,
        arguments=network.arguments,
        num_classes=CLASSES,
        input=InputSpec(size=network.size),
        seed=seed,
    )
    record = make(spec, network.steps, output, lambda line: print(line, file=sys.stderr, flush=True))
    print(
        f"{output}: accuracy {record.accuracy:.2%} on {record.held_out_images} held-out images, "
        f"{output.stat().st_size / 1e6:.2f} MB, trained in {record.training_s:.0f} s"
    )


if __name__ == "__main__":
    sys.exit(run_command(PROGRAM, command))
