"""Write the figures of docs/figures.toml into the documents and sources that quote them; a test compares.

    make_figures.py             write every figure into its places
    make_figures.py --measure   measure the figures that take less than a minute, then do the same

A place is some words of a line, with {} where the figure is. To change a figure that several documents quote,
change it in docs/figures.toml and run this.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FIGURES = ROOT / "docs" / "figures.toml"
VALUE = r"\d[\d.,e+-]*(?: %)?"


def figures() -> dict[str, Any]:
    """By name: the figure's `value` as printed, `by` what it was measured, and its `places`.

    `places` is {file: [words with {}]}.
    """
    return tomllib.loads(FIGURES.read_text())


def differing() -> Iterator[str]:
    """A message for each place that quotes another value, or whose words are gone."""
    for name, figure in figures().items():
        for file, places in figure["places"].items():
            text = (ROOT / file).read_text()
            for place in places:
                found = _pattern(place).findall(text)
                if not found or any(value != figure["value"] for value in found):
                    yield f"{file}: {name} is {figure['value']}, found {found or 'no such words'}: {place}"


def fill() -> None:
    """Write every figure into its places."""
    for figure in figures().values():
        for file, places in figure["places"].items():
            path = ROOT / file
            text = path.read_text()
            for place in places:
                text = _pattern(place).sub(figure["value"], text)
            path.write_text(text)


def measure() -> dict[str, str]:
    """The float64 errors of the passes on `mocovit_1_0`, by the names of their figures."""
    from mocovit_deploy.models.load import load_network
    from mocovit_deploy.passes.run import reparameterize
    from mocovit_deploy.spec import ModelSpec

    network = load_network(ModelSpec())
    done = reparameterize(network.module, network.inputs.for_capture(0, free_batch=False))
    return {f"{proof.name}_error": f"{proof.error:.1e}" for proof in done.proofs if proof.error}


def _pattern(place: str) -> re.Pattern[str]:
    before, after = map(re.escape, place.split("{}"))
    return re.compile(f"(?<={before})({VALUE})(?={after})")


def _remember(measured: dict[str, str]) -> None:
    text = FIGURES.read_text()
    for name, value in measured.items():
        text = re.sub(rf'(\[{name}\]\nvalue = )"[^"]*"', rf'\1"{value}"', text)
    FIGURES.write_text(text)


if __name__ == "__main__":
    if "--measure" in sys.argv[1:]:
        _remember(measure())
    fill()
