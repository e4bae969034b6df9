"""Train networks on scenes, and store each with a record of its training and its figures.

    python -m examples.scenes.train                      every network of this folder (networks.py)
    python -m examples.scenes.train '*retinanet'         those whose names are like that

A backbone starts from a classifier of examples/digits, which saw no held-out digit or photograph.
Every training scene is seen once. The weights after the last step are the result; none are chosen by looking
at held-out scenes.
"""

from __future__ import annotations

import fnmatch
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.scenes.networks import NETWORKS, SIZE, Trained
from mocovit_deploy.choices import STRIDES
from mocovit_deploy.cli.parsers import Parser
from mocovit_deploy.cli.runner import run_command
from mocovit_deploy.errors import UsageError
from mocovit_deploy.spec import InputSpec, ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from examples.digits.training import Recipe
    from examples.scenes.checkpoint import Record
    from examples.scenes.data import Scene
    from mocovit_deploy.parity.samples import FloatArray

PROGRAM = "python -m examples.scenes.train"
BATCH = 16
SEED = 0
THREADS = 1
REPORT_EVERY = 50


def stream(steps: int, batch: int, spec: InputSpec) -> Iterator[tuple[FloatArray, list[Scene]]]:
    """`steps` batches of pictures (batch, 3, S, S) and their scenes, the first of the training split."""
    from examples.digits.data import training
    from examples.scenes import data

    split = training()
    for step in range(steps):
        some = [data.scene(split, index, spec.size) for index in range(step * batch, (step + 1) * batch)]
        yield data.tensors(some, spec), some


def recipe(steps: int) -> Recipe:
    """How the networks in this folder were trained, with `steps` steps."""
    from examples.digits.training import Recipe

    return Recipe(
        steps=steps,
        peak_learning_rate=2e-3,
        warmup_share=0.1,
        weight_decay=0.05,
        label_smoothing=0.0,
        largest_gradient=5.0,
    )


def spec_of(network: Trained) -> ModelSpec:
    """The network, without weights."""
    picture = InputSpec(size=SIZE)
    return ModelSpec(network.model, network.arguments, num_classes=network.classes, input=picture, seed=SEED)


def build(network: Trained) -> tuple[nn.Module, str]:
    """The network as training begins, and where its backbone's weights are from.

    Its heads are random. Raises `UsageError` where the classifier's checkpoint is missing or changed.
    """
    import torch

    from examples.digits.checkpoint import read_record
    from mocovit_deploy.graph.wrapper import unwrapped
    from mocovit_deploy.models.load import load_network
    from mocovit_deploy.models.source import source_for

    spec, path = spec_of(network), network.classifier.checkpoint
    record = read_record(path)
    torch.manual_seed(spec.seed)
    built: Any = source_for(spec.name).build(spec)
    maps = load_network(replace(record.spec(path), features=STRIDES)).module
    built.backbone.load_state_dict(unwrapped(maps).state_dict())
    return built, f"{path.name}, sha256 {record.sha256}"


def loss_of(network: Any, kind: str) -> Callable[[Any, Sequence[Scene]], Any]:
    """The loss that a network of this kind is trained with."""
    from examples.scenes.losses import detection_loss, segmentation_loss

    if kind == "segmentation":
        return segmentation_loss
    return lambda outputs, truth: detection_loss(outputs, truth, network.priors)


def measure(network: nn.Module, trained: Trained, count: int) -> dict[str, float]:
    """The figures of a network, in eval mode, on the first `count` held-out scenes."""
    from examples.scenes import data, judge
    from examples.scenes.answers import network_answers

    scenes = data.held_out_scenes(count, SIZE)
    task: Any = network.task
    found = network_answers(network, task.as_json(task.roles), scenes)
    return judge.values(trained.kind, scenes, found)


def make(trained: Trained, output: Path, say: Callable[[str], None]) -> Record:
    """Train a network, measure it, and write checkpoint and record to `output`; `say` gets lines of progress.

    Raises the errors of `build`, `UsageError` where a weight does not fit in fp16, `DeployError` where
    training fails.
    """
    import torch

    from examples.digits import checkpoint
    from examples.digits.training import train
    from examples.scenes.checkpoint import Record
    from examples.scenes.data import HELD_OUT_SCENES

    torch.set_num_threads(THREADS)
    network, backbone = build(trained)
    how, losses = recipe(trained.steps), list[float]()
    start = time.process_time()

    def progress(step: int, loss: float) -> None:
        losses.append(loss)
        if (step + 1) % REPORT_EVERY == 0:
            mean = sum(losses[-REPORT_EVERY:]) / REPORT_EVERY
            taken = time.process_time() - start
            say(f"{trained.model}, step {step + 1} of {how.steps}: loss {mean:.3f}, {taken:.0f} CPU s")

    batches = stream(how.steps, BATCH, InputSpec(size=SIZE))
    train(network, batches, how, progress, loss_of(network, trained.kind))
    training_s = time.process_time() - start
    tensors = checkpoint.stored(network)
    network.load_state_dict(tensors, strict=False)  # from here on the network is what is stored
    serialized = checkpoint.serialized(tensors)
    record = Record(
        model=trained.model,
        arguments=trained.arguments,
        num_classes=trained.classes,
        image_size=SIZE,
        sha256=checkpoint.sha256_of(serialized),
        backbone=backbone,
        figures=measure(network, trained, HELD_OUT_SCENES),
        held_out_images=HELD_OUT_SCENES,
        training_images=how.steps * BATCH,
        seed=SEED,
        recipe={**asdict(how), "batch": BATCH, "threads": THREADS},
        training_s=round(training_s, 1),
        tools={name: version(name) for name in ("torch", "numpy", "pillow", "scikit-learn", "scikit-image")},
    )
    checkpoint.write(output, serialized, record)
    return record


def command(arguments: Sequence[str]) -> int:
    """Run the program on these arguments. Returns its exit status."""
    parser = Parser(prog=PROGRAM, description="Train the networks of this folder on scenes of digits.")
    parser.add_argument("pattern", nargs="?", default="*", help="the networks to train, as '*retinanet'")
    parser.add_argument("--output-dir", type=Path, metavar="DIR", help="write there (default: this folder)")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks")
    given = parser.parse_args(arguments)
    chosen = [one for one in NETWORKS if fnmatch.fnmatch(one.model, given.pattern)]
    if not chosen:
        raise UsageError(
            f"no network is like {given.pattern!r}; there are {', '.join(n.model for n in NETWORKS)}"
        )
    for one in chosen:
        output = one.checkpoint if given.output_dir is None else given.output_dir / one.checkpoint.name
        record = make(one, output, lambda line: print(line, file=sys.stderr, flush=True))
        figures = ", ".join(f"{name} {100 * value:.1f}" for name, value in record.figures.items())
        print(f"{output}: {figures}, {output.stat().st_size / 1e6:.2f} MB, {record.training_s:.0f} CPU s")
    return 0


if __name__ == "__main__":
    sys.exit(run_command(PROGRAM, command))
