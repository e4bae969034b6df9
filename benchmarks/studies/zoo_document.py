"""Writing docs/zoo.md from the results of the study `zoo`: networks, their files, and what did not pass."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mocovit_deploy.choices import FORMATS
from mocovit_deploy.files import file_name
from mocovit_deploy.terminal.table import markdown_table

PRECISIONS = ("fp32", "fp16")


@dataclass(frozen=True)
class Row:
    """A network at a size."""

    model: str
    size: int | None = None
    """The side of its images in pixels; None for the size that its source declares."""

    @property
    def words(self) -> tuple[str, ...]:
        """The options of `mocovit-export` for it."""
        size = () if self.size is None else ("--image-size", str(self.size))
        return ("--model", self.model, *size)

    @property
    def title(self) -> str:
        """Its name in the tables."""
        return self.model.removeprefix("timm/") + (f" at {self.size}" if self.size else "")

    @property
    def slug(self) -> str:
        """Its name in file names, the same as that of a sweep."""
        return file_name(self.model) + (f"_{self.size}" if self.size else "")


ROWS = (
    Row("mocovit_0_5"),
    Row("mocovit_1_0"),
    Row("mocovit_1_3"),
    Row("timm/ghostnet_050"),
    Row("timm/ghostnet_100"),
    Row("timm/ghostnet_130"),
    Row("timm/ghostnetv2_100"),
    Row("timm/ghostnetv3_100"),
    Row("timm/repghostnet_100"),
    Row("timm/mobilenetv3_small_100"),
    Row("timm/mobilenetv3_large_100"),
    Row("timm/mobilenetv4_conv_small"),
    Row("timm/mobilevit_xxs"),
    Row("timm/mobilevit_xxs", 224),
    Row("timm/mobilevit_xs"),
    Row("timm/mobilevit_xs", 224),
    Row("timm/mobilevit_s"),
    Row("timm/mobilevit_s", 224),
    Row("timm/efficientvit_b0"),
    Row("timm/efficientvit_b1"),
    Row("timm/efficientvit_b2"),
    Row("timm/efficientvit_b3"),
    Row("timm/efficientvit_l1"),
    Row("timm/efficientnet_b0"),
    Row("timm/efficientnet_b1"),
    Row("timm/repvgg_a0"),
    Row("timm/mobileone_s1"),
)

NETWORK_HEADER = (
    *("network", "input", "parameters", "MACs", "with attention"),
    *("BatchNorms", "refused", "capture s", "passes s", "row s"),
)
FILES_HEADER = (
    "network",
    *(f"{name} {precision}" for name in ("ONNX", "Core ML", "TFLite") for precision in PRECISIONS),
)


def network_cells(row: Row, result: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a row of the table of networks."""
    if "total" not in result:
        return (row.title, str(result["error"]), *[""] * (len(NETWORK_HEADER) - 2))
    total, norms, stages = result["total"], result["batch_norms"], result["stages"]
    return (
        row.title,
        " ".join("x".join(map(str, shape)) for shape in result["input"].values()),
        f"{total['parameters']:,}",
        f"{total['macs'] / 1e6:,.1f} M",
        f"{(total['macs'] + total['attention_macs']) / 1e6:,.1f} M",
        f"{norms['before']} → {norms['after']}",
        str(len(result["refused"])),
        f"{stages['capture']:.1f}",
        f"{stages['passes']:.1f}",
        f"{result['seconds']:.0f}",
    )


def files_cells(row: Row, result: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a row of the table of files."""
    names = [f"{name} {precision}" for name in FORMATS for precision in PRECISIONS]
    return (row.title, *(_file(result.get("files", {}).get(name)) for name in names))


def _file(one: dict[str, Any] | None) -> str:
    """The operators and largest error of a file, and its verdict unless that is a pass."""
    if one is None:
        return "-"
    operators = "no file" if one["operators"] is None else str(one["operators"])
    error = "-" if one["max_error"] is None else f"{one['max_error']:.1e}"
    verdict = "" if one["verdict"] == "pass" else f", **{one['verdict']}**"
    return f"{operators}, {error}{verdict}"


def document(done: dict[Row, dict[str, Any]]) -> str:
    """The text of docs/zoo.md."""
    missing = [row for row in ROWS if row not in done]
    lines = [
        "# Networks",
        "",
        "Made by `make zoo`: every network captured, re-parameterized by all passes,",
        "each proven in float64, written in three formats and two precisions, and every file compared with",
        "the original network on eight inputs. Weights are random and seeded. MACs are of convolutions and",
        "linear layers, then with the products of attention. Refused is what all passes together left alone,",
        "with its reason below. Seconds are wall time on two x86-64 cores that had other work too: capture,",
        "passes with their proofs, and the whole row.",
        "",
        *_origin(done),
        "",
    ]
    if missing:
        lines += [
            f"**{len(missing)} of {len(ROWS)} rows did not run**: {', '.join(row.title for row in missing)}.",
            "",
        ]
    lines += [
        markdown_table(NETWORK_HEADER, [network_cells(*one) for one in done.items()]),
        "",
        "## Files",
        "",
        "Operators in the file, and the largest difference from the original network as a fraction of the",
        "output's range; a verdict other than a pass is in bold, its reason below.",
        *_half(done),
        "Core ML files are run by the numpy reference, fp16 in half. EfficientViT's attention does not fit",
        "into half precision: Core ML files keep it in fp32, TFLite files do not",
        "([decisions/0005](decisions/0005-fp16.md)).",
        "",
        markdown_table(FILES_HEADER, [files_cells(*one) for one in done.items()]),
        "",
        "## What did not pass",
        "",
        *(_failures(done) or ["Nothing."]),
        "",
        "## What the passes refused",
        "",
        *(_refusals(done) or ["Nothing."]),
    ]
    return "\n".join(lines) + "\n"


def _half(done: dict[Row, dict[str, Any]]) -> list[str]:
    """The lines on the arithmetic of fp16 files: rows of earlier commits ran them in fp32 only."""
    files = [one for result in done.values() for one in result.get("files", {}).values()]
    if not any(one.get("not_run") for one in files):
        return ["fp16 files of ONNX and TFLite are judged in half precision ([half.md](half.md))."]
    return [
        "ONNX Runtime computes fp16 files in fp32, and so does LiteRT on x86-64: the fp16 arithmetic of",
        "those two columns did **not run** in this table. [half.md](half.md) has it, and files are judged by",
        "it since.",
    ]


def _origin(done: dict[Row, dict[str, Any]]) -> list[str]:
    """The commits and tools of the rows, which may come from several runs."""
    lines = []
    for what in sorted({(one["commit"], json.dumps(one["tools"])) for one in done.values()}):
        rows = [row.title for row, one in done.items() if (one["commit"], json.dumps(one["tools"])) == what]
        versions = ", ".join(f"{name} {number}" for name, number in json.loads(what[1]).items())
        which = "All rows" if len(rows) == len(done) else f"{', '.join(rows)}"
        lines.append(f"- {which}: commit {what[0] or 'unknown'}, {versions}.")
    return lines


def _failures(done: dict[Row, dict[str, Any]]) -> list[str]:
    return [
        f"- {row.title}: {problem}"
        for row, result in done.items()
        for problem in (
            [
                f"{name}: {one['error'].rpartition('/rejected/')[2]}"
                for name, one in result["files"].items()
                if one["error"]
            ]
            if "files" in result
            else [result["error"]]
        )
    ]


def _refusals(done: dict[Row, dict[str, Any]]) -> list[str]:
    """The number of refusals of each network, and the first of them."""
    refused = {row.title: result["refused"] for row, result in done.items() if result.get("refused")}
    return [
        f"- {title}: {len(places)}, the first at `{places[0]['where']}`: {places[0]['why']}"
        for title, places in refused.items()
    ]
