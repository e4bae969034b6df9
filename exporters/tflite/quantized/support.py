"""The operators that XNNPACK computes in int8, from `operators.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mocovit_deploy.quantization.grid import Grid

TABLE = Path(__file__).with_name("operators.toml")
OWN, INPUT, FIXED = "own", "input", "fixed"
FIXED_GRIDS: Mapping[str, Grid] = {
    "LOGISTIC": Grid((1 / 256,), (-128,)),
    "TANH": Grid((1 / 128,), (0,)),
}
"""The grids of results that TFLite's int8 kernels fix (tflite/kernels/activations.cc)."""
WIDE_FIXED_GRIDS: Mapping[str, Grid] = {
    "LOGISTIC": Grid((1 / 32768,), (0,), "int16"),
    "TANH": Grid((1 / 32768,), (0,), "int16"),
}
"""The grids of results that its int16 kernels fix."""


@dataclass(frozen=True)
class Support:
    """XNNPACK's conditions for one kind of operator in int8; `operators.toml` explains the fields."""

    version: int
    grid: str
    wide: int | None = None
    """The operator's version with int16 activations; None if it then stays float."""
    weights: int | None = None
    ratio: tuple[float, float] | None = None
    inputs: tuple[int, int] | None = None


def int8_support() -> Mapping[str, Support]:
    """The conditions by kind of operator; a kind that is absent has no int8 kernel in XNNPACK."""
    return _read(TABLE)


@cache
def _read(path: Path) -> dict[str, Support]:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        kind: Support(
            version=one["version"],
            grid=one["grid"],
            wide=one.get("wide"),
            weights=one.get("weights"),
            ratio=tuple(one["ratio"]) if "ratio" in one else None,
            inputs=tuple(one["inputs"]) if "inputs" in one else None,
        )
        for kind, one in table.items()
    }
