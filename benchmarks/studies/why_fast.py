"""The tables of docs/why-fast.md, from the rows of the study `fast` and from counts of other runtimes.

    <!-- begin steps mocovit_1_0 fp32 -->      the file after each rewrite
    <!-- begin runtimes fp16 -->               files of this project beside those of other runtimes
    ...
    <!-- end -->

The lines between two marks are replaced; the rest of the document is prose.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.studies.fast_document import STEP_HEADER, figures, numbers_table
from benchmarks.studies.zoo_document import Row

Result = Mapping[str, Any]
OTHERS = Path(__file__).with_name("other_runtimes.toml")
NOT_COUNTED = "not counted yet\n"
_BLOCK = re.compile(r"(<!-- begin (?P<what>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, files: Mapping[Row, Result], steps: Mapping[Row, Result]) -> str:
    """The document with every table replaced. Raises `ValueError` for a mark that names no table."""

    def written(block: re.Match[str]) -> str:
        kind, *words = block["what"].split()
        if kind == "steps":
            table = _steps(steps, *words)
        elif kind == "runtimes":
            table = _runtimes(files, *words)
        else:
            raise ValueError(f"no table is called {block['what']!r}")
        return f"{block[1]}{table}{block[3]}"

    return _BLOCK.sub(written, text)


def _steps(steps: Mapping[Row, Result], network: str, precision: str) -> str:
    done = next((result["done"] for row, result in steps.items() if row.title == network), None)
    if done is None:
        return NOT_COUNTED
    return numbers_table(STEP_HEADER, [(label, *figures(one)) for label, one in done[precision]])


def _runtimes(files: Mapping[Row, Result], precision: str) -> str:
    """One line for each network: modelled ms of stock and ours in LiteRT, then of others; least in bold."""
    others = tomllib.loads(OTHERS.read_text(encoding="utf-8"))["runtime"]
    named = [one for one in others if any(precision in found for found in one["networks"].values())]
    networks = list(dict.fromkeys(network for one in others for network in one["networks"]))
    rows = {row.title: result["done"] for row, result in files.items()}
    lines = []
    for network in networks:
        done = rows.get(network)
        ours = (
            [done[side][precision].get("modelled_ms") for side in ("stock", "ours")] if done else [None] * 2
        )
        found = [one["networks"].get(network, {}).get(precision) for one in named]
        values = [*ours, *(one[1] if one else None for one in found)]
        known = [one for one in values if one is not None]
        least = min(known) if ours[1] is not None else None  # no least value before ours is counted
        lines.append((network, *(_cell(one, least) for one in values)))
    header = ("network", "LiteRT 2.3.0, stock", "LiteRT 2.3.0, ours", *(one["name"] for one in named))
    return numbers_table(header, lines)


def _cell(value: float | None, least: float | None) -> str:
    if value is None:
        return "-"
    return f"**{value:.2f}**" if value == least else f"{value:.2f}"
