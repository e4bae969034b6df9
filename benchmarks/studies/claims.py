"""docs/claims.md: what papers claim of speed, beside the counts of the study `precision`.

A claim compares networks. Each pair of them becomes a line: how many times as long the one takes as the
other, in fp32, in fp16, and as the fastest file that the search finds. Weights are random, so accuracy is the
papers' own. Nothing is run here; `make precision` counts, and writes this document too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mocovit_deploy.terminal.table import markdown_table

PRECISIONS = ("fp32", "fp16", "auto")


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, and the networks to compare for it."""

    says: str
    source: str
    fast: tuple[str, ...]
    """The networks that are said to be faster."""
    slow: tuple[str, ...]
    """The networks that each of them is compared with."""
    factor: float
    """How many times as long the slow ones must take for the claim to hold in time."""
    note: str
    """What a reader must know of the claim."""


CLAIMS = (
    Claim(
        "EfficientViT is 3 times faster than EfficientNet on a Snapdragon 855, with higher accuracy",
        "EfficientViT, arXiv:2205.14756, version 1",
        ("efficientvit_b1", "efficientvit_b2"),
        ("efficientnet_b1", "efficientnet_b2", "efficientnet_b3"),
        3.0,
        "The first version of the abstract says so; its networks were never released. Compared are later\n"
        "ones of that name, as timm has them, in timm's own input sizes.",
    ),
    Claim(
        "MoCoViT outperforms portable CNNs, among them MobileNetV3 and GhostNet",
        "MoCoViT, arXiv:2205.12635",
        ("mocovit_1_0",),
        ("mobilenetv3_large_100", "ghostnet_100"),
        1.0,
        "The paper compares accuracy at equal multiply-accumulates; here their times are.",
    ),
)
INTRODUCTION = """\
# What papers claim

Written by `make precision`; do not edit. Milliseconds are modelled for a Snapdragon 855's prime core from
instructions counted in LiteRT 2.3.0 on an emulated Cortex-A76, one thread ([counting.md](counting.md) says
how far off that has been). Files are of this project. *auto* is the fastest file that the search finds, with
random weights, so without a look at accuracy. Accuracies are the papers' own and were not measured here.
"""


def document(times: Mapping[str, Mapping[str, float]]) -> str:
    """The document. `times` are milliseconds by network and precision; what is missing there is named."""
    lines = [INTRODUCTION]
    for claim in CLAIMS:
        lines += [f"## {claim.says}", "", f"{claim.source}. {claim.note}", ""]
        names = (*claim.fast, *claim.slow)
        rows = [(name, *(_ms(times, name, one) for one in PRECISIONS)) for name in names]
        lines += [markdown_table(("network", *(f"{one}, ms" for one in PRECISIONS)), rows), ""]
        lines += [*_verdicts(claim, times), ""]
    return "\n".join(lines)


def times_of(done: Mapping[Any, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Modelled milliseconds by network and precision, from the search's rows of the study `precision`."""
    found: dict[str, dict[str, float]] = {}
    for row, result in done.items():
        if row.kind != "count" or row.made != "auto" or result["error"]:
            continue
        passed = {one["recipe"]: one["modelled_ms"] for one in result["files"] if one["passed"]}
        found[row.title] = {name: passed[name] for name in ("fp32", "fp16") if name in passed}
        found[row.title]["auto"] = min(
            one["modelled_ms"]
            for one in result["files"]
            if one["recipe"] == result["chosen"] and one["passed"]
        )
    return found


def _ms(times: Mapping[str, Mapping[str, float]], name: str, precision: str) -> str:
    found = times.get(name, {}).get(precision)
    return "not counted" if found is None else f"{found:.2f}"


def _verdicts(claim: Claim, times: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    for fast in claim.fast:
        for slow in claim.slow:
            known = [one for one in PRECISIONS if one in times.get(fast, {}) and one in times.get(slow, {})]
            if not known:
                yield f"- {slow} against {fast}: not counted"
                continue
            ratios = {one: times[slow][one] / times[fast][one] for one in known}
            held = [one for one in known if ratios[one] >= claim.factor]
            told = ", ".join(f"{ratio:.2f} times as long in {one}" for one, ratio in ratios.items())
            yield f"- {slow} takes {told} as {fast}: {_said(held, known)}"


def _said(held: Sequence[str], known: Sequence[str]) -> str:
    if len(held) == len(known):
        return "the claim holds in these counts"
    return (
        f"the claim holds in {' and '.join(held)} alone"
        if held
        else "the claim does not hold in these counts"
    )
