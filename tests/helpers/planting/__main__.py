"""Plant defects in files of several networks in every format, and write docs/planted-faults.md.

make faults        about ten minutes on two cores; no file is left behind
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from mocovit_deploy.choices import FORMATS
from mocovit_deploy.errors import DeployError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.files import write_atomically
from mocovit_deploy.spec import ExportRequest, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages
from mocovit_deploy.terminal.quiet import quiet
from mocovit_deploy.terminal.table import markdown_table
from planting.suite import Outcome, open_case, plant, swap

DOCUMENT = Path(__file__).parents[3] / "docs" / "planted-faults.md"
NETWORKS = (
    ("mocovit_0_5", 96),
    ("timm/ghostnet_050", 96),
    ("timm/mobilevit_xxs", 128),
    ("timm/efficientvit_b0", 128),
    ("tiny_networks:two_heads", 32),
)
PLACES = (3, 17, 40)
"""Which of a network's layers that fit a defect, counted round and round."""
OUTPUTS = ("main", "aux")
INTRODUCTION = """\
Each file is cut open, one thing in it is made wrong, and `mocovit-parity FILE --bisect` is asked which torch
module diverges first. *Named* means that the planted module is among those it names (an operator of a TFLite
file may be two: a convolution and its ReLU); *alone*, that it is the only one."""


def outcomes_of(name: str, size: int, places: Sequence[int], folder: Path) -> list[Outcome]:
    """Export a network to every format and plant everything in each file. Raises `DeployError`."""
    request = ExportRequest(
        ModelSpec(name, input=OwnInput(size=size)), formats=FORMATS, output_dir=folder / "exported"
    )
    with quiet(True):
        exported = export_model(request, Stages()).outcomes
    found: list[Outcome] = []
    reference = None
    for one in exported:
        if one.error is not None or one.artifact is None:
            raise one.error or DeployError(f"{name}: no file")
        with quiet(True):
            case = open_case(one.artifact.path, reference)
        reference = case.reference
        found += plant(case, places, folder)
        if set(OUTPUTS) <= set(reference.inside.outputs):
            found.append(swap(case, OUTPUTS, folder))
    return found


def document(results: dict[str, list[Outcome]]) -> str:
    """The page: planted and named per network and format, per defect, and every one that was missed."""
    rows = []
    for network, outcomes in results.items():
        for name in FORMATS:
            own = [one for one in outcomes if one.format == name]
            named = sum(one.found for one in own)
            alone = sum(one.found and len(one.named) == 1 for one in own)
            rows.append((network, name, str(len(own)), str(named), str(alone), str(len(own) - named)))
    everything = [one for outcomes in results.values() for one in outcomes]
    kinds = []
    for defect in dict.fromkeys(one.defect for one in everything):
        own = [one for one in everything if one.defect == defect]
        said = max((one.what for one in own), key=[one.what for one in own].count)
        missed = sum(not one.found for one in own)
        kinds.append((defect.replace("_", " "), str(len(own)), str(len(own) - missed), str(missed), said))
    missed_lines = [
        f"- {network}, {one.format}: {one.defect.replace('_', ' ')} in `{one.planted}`; "
        + (f"named `{one.named[0]}`" if one.named else "no layer diverged")
        for network, outcomes in results.items()
        for one in outcomes
        if not one.found
    ]
    tools = ", ".join(f"{name} {version(name)}" for name in ("torch", "onnxruntime", "ai-edge-litert"))
    return "\n".join(
        [
            "# Faults planted, named, missed",
            "",
            INTRODUCTION,
            "",
            f"Written by `make faults` with {tools}.",
            "",
            markdown_table(("network", "format", "planted", "named", "alone", "missed"), rows),
            "",
            markdown_table(("defect", "planted", "named", "missed", "what is said most often"), kinds),
            "",
            "## Missed",
            "",
            *(missed_lines or ["None."]),
            "",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", metavar="WORD", help="networks whose name holds this; no page")
    given = parser.parse_args()
    results = {}
    for name, size in NETWORKS:
        if given.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            results[f"{name} at {size}"] = outcomes_of(name, size, PLACES, Path(folder))
        missed = [one for one in results[f"{name} at {size}"] if not one.found]
        sys.stderr.write(f"{name}: {len(results[f'{name} at {size}'])} planted, {len(missed)} missed\n")
        for one in missed:
            sys.stderr.write(f"  {one}\n")
    page = document(results)
    if given.only:
        sys.stdout.write(page)
    else:
        write_atomically(DOCUMENT, page.encode())
    return 4 if any(not one.found for outcomes in results.values() for one in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
