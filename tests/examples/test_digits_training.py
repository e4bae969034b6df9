"""The training loop on a toy problem, and the order in which images are seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from examples.digits import data, train
from examples.digits.networks import NETWORKS, Trained
from examples.digits.train import CHECKPOINT
from examples.digits.training import Recipe
from examples.digits.training import train as run
from mocovit_deploy.cli.runner import run_command as program
from mocovit_deploy.errors import DeployError, UsageError
from mocovit_deploy.parity.samples import FloatArray
from mocovit_deploy.spec import InputSpec, ModelSpec

RECIPE = Recipe(
    steps=60,
    peak_learning_rate=0.1,
    warmup_share=0.2,
    weight_decay=0.0,
    label_smoothing=0.1,
    largest_gradient=1.0,
)


def quadrants(steps: int, scale: float = 1.0) -> Iterator[tuple[FloatArray, data.LabelArray]]:
    """Which quadrant of the image is bright?"""
    generator = np.random.default_rng(0)
    for _ in range(steps):
        labels = generator.integers(4, size=16)
        images = generator.normal(size=(16, 1, 2, 2)).astype(np.float32)
        images[np.arange(16), 0, labels // 2, labels % 2] += 6
        yield images * np.float32(scale), labels


def toy() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 4), torch.nn.Dropout(0.1))


def test_a_toy_network_learns() -> None:
    network, losses = toy(), []
    run(network, quadrants(60), RECIPE, lambda _step, loss: losses.append(loss))
    assert len(losses) == 60
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.3
    assert not network.training
    images, labels = next(quadrants(1))
    with torch.no_grad():
        assert (network(torch.from_numpy(images)).argmax(1).numpy() == labels).mean() > 0.9


def test_a_loss_that_is_no_number_stops_training() -> None:
    with pytest.raises(DeployError, match="loss is nan at step 0"):
        run(toy(), quadrants(60, scale=float("nan")), RECIPE, lambda *_: None)


@pytest.mark.parametrize("steps", [59, 61])
def test_batches_must_be_as_many_as_the_recipe_says(steps: int) -> None:
    with pytest.raises(ValueError, match="zip"):
        run(toy(), quadrants(steps), RECIPE, lambda *_: None)


def test_the_photographs_fade_in() -> None:
    shares = [train.fade_in(step / 1000) for step in range(1000)]
    assert shares[0] == 0
    assert shares[-1] == 1
    assert shares == sorted(shares)
    assert shares[int(1000 * train.CLUTTER_FULL)] == 1


def test_each_image_is_seen_once_in_an_order_that_the_seed_decides() -> None:
    def seen(seed: int) -> list[int]:
        spec, split = InputSpec(size=16), data.held_out()
        return [int(label) for _, labels in train.stream(split, 5, 7, spec, seed) for label in labels]

    assert sorted(seen(0)) == sorted(data.held_out().labels[:35].tolist())
    assert seen(0) == seen(0)
    assert seen(0) != seen(1)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    def first(seed: int) -> torch.Tensor:
        spec = ModelSpec("mocovit_0_5", num_classes=10, input=InputSpec(size=96), seed=seed)
        return next(iter(train.build(spec).parameters()))

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


@pytest.mark.parametrize(
    "words", [["--model-arg", "width"], ["--steps", "-1"], ["--output", "x.pt"], ["--image-size", "big"]]
)
def test_mistakes_are_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert program(train.PROGRAM, train.command, words) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def asked(*words: str) -> list[tuple[Trained, Path]]:
    return train._asked(train._parser().parse_args(words))


def test_all_trains_the_networks_of_the_folder_over_their_checkpoints() -> None:
    assert asked("--all") == [(one, one.checkpoint) for one in NETWORKS]
    with pytest.raises(UsageError, match="--all trains the networks in this folder"):
        asked("--all", "--steps", "3")


def test_a_network_is_written_under_its_own_name_unless_told_otherwise(tmp_path: Path) -> None:
    ((network, output),) = asked("--model", "timm/resnet18", "--image-size", "48")
    assert (network.size, network.steps) == (48, NETWORKS[0].steps)
    assert output.name == "resnet18_48.safetensors"
    assert asked() == [(NETWORKS[0], CHECKPOINT)]
    ((_, output),) = asked("--output", str(tmp_path / "mine.safetensors"))
    assert output == tmp_path / "mine.safetensors"
