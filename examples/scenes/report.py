"""Export a network trained on scenes, and print what each *file* loses of its figures, as one JSON document.

    python -m examples.scenes.report mocovit_0_5_retinanet tflite:fp32 tflite:static_wi8_ai8 --scenes 200

Ranges of int8 files come from 128 training scenes; figures are those of held-out scenes. `make scenes` runs
this for all networks and writes docs/scenes.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.digits import words
from examples.scenes.data import HELD_OUT_SCENES
from examples.scenes.networks import NETWORKS, SIZE, Trained, network_named
from mocovit_deploy.cli.parsers import Parser
from mocovit_deploy.cli.runner import run_command
from mocovit_deploy.errors import DeployError, UsageError, unknown_choice
from mocovit_deploy.files import size_bytes

if TYPE_CHECKING:
    from examples.scenes.data import Scene
    from examples.scenes.metrics import Figure
    from mocovit_deploy.exporting.context import Outcome

PROGRAM = "python -m examples.scenes.report"
CALIBRATION = "examples.scenes.data:training_pictures"


def report(network: Trained, files: Sequence[tuple[str, str]], folder: Path, count: int) -> dict[str, Any]:
    """Export `files`, pairs of format and precision, to `folder`; measure each on `count` held-out scenes.

    A file's error does not end this: it stands in the document. Raises `UsageError` where the checkpoint is
    missing or changed.
    """
    from examples.scenes import judge
    from examples.scenes.answers import network_answers
    from examples.scenes.checkpoint import read_record
    from examples.scenes.data import held_out_scenes
    from mocovit_deploy.exporting.pipeline import export_model
    from mocovit_deploy.models.load import load_network
    from mocovit_deploy.spec import CalibrationRequest, ExportRequest
    from mocovit_deploy.terminal.progress import Stages

    spec = read_record(network.checkpoint).spec(network.checkpoint)
    scenes, loaded = held_out_scenes(count, SIZE), load_network(spec)
    task: Any = loaded.task
    original = judge.figures(network.kind, scenes, network_answers(loaded.module, task, scenes))
    request = ExportRequest(
        spec,
        formats=tuple(dict.fromkeys(name for name, _ in files)),
        only=tuple(files),
        output_dir=folder,
        calibration=CalibrationRequest(CALIBRATION),
    )
    outcomes = export_model(request, Stages()).outcomes
    return {
        "model": network.model,
        "scenes": count,
        "original": {name: one.value for name, one in original.items()},
        "files": [_file(network, one, original, scenes) for one in outcomes],
    }


def _file(
    network: Trained, outcome: Outcome, original: dict[str, Figure], scenes: Sequence[Scene]
) -> dict[str, Any]:
    from examples.scenes import judge
    from examples.scenes.answers import file_answers
    from examples.scenes.metrics import drop
    from mocovit_deploy.formats import format_named

    told: dict[str, Any] = {"format": outcome.format, "recipe": outcome.recipe, "path": None, "figures": {}}
    told |= {"parity": outcome.report.verdict, "error": str(outcome.error) if outcome.error else None}
    if outcome.artifact is None:
        return told
    artifact = outcome.artifact
    told |= {"path": str(artifact.path), "size_bytes": size_bytes(artifact.path)}
    told["partitions"] = (artifact.execution or {}).get("partitions")
    try:
        predictor = format_named(artifact.format).load(artifact)
        found = judge.figures(network.kind, scenes, file_answers(artifact, predictor, scenes))
    except DeployError as error:
        return told | {"error": told["error"] or str(error)}
    told["runtime"] = f"{predictor.runtime}, {predictor.arithmetic}"
    told["figures"] = {
        name: {"value": one.value, "drop": asdict(drop(original[name], one))} for name, one in found.items()
    }
    return told


def command(arguments: Sequence[str]) -> int:
    """Run the program on these arguments. Returns its exit status: 4 where a file failed."""
    from mocovit_deploy.terminal.quiet import quiet

    parser = Parser(
        prog=PROGRAM, description="What each exported file of a network loses on scenes, as JSON."
    )
    add = parser.add_argument
    add("model", metavar="NETWORK", help="a network of networks.py, as mocovit_0_5_retinanet")
    add("files", nargs="+", type=words.file_kind, metavar="FORMAT:PRECISION", help="the files to export")
    add("--scenes", type=words.positive, default=HELD_OUT_SCENES, metavar="N", help="(default: %(default)s)")
    add("--output-dir", type=Path, default=Path("build/scenes/files"), metavar="DIR", help="write files here")
    add("--verbose", action="store_true", help="show converters' output and tracebacks")
    given = parser.parse_args(arguments)
    if given.model not in (names := [one.model for one in NETWORKS]):
        raise unknown_choice("network", given.model, names)
    if given.scenes > HELD_OUT_SCENES:
        raise UsageError(f"--scenes: there are only {HELD_OUT_SCENES} held-out scenes, not {given.scenes}")
    with quiet(not given.verbose):
        found = report(network_named(given.model), given.files, given.output_dir, given.scenes)
    print(json.dumps(found, indent=1, allow_nan=False))
    return 4 if any(one["error"] for one in found["files"]) else 0


if __name__ == "__main__":
    sys.exit(run_command(PROGRAM, command))
