"""Writing docs/fast.md and exporters/tflite/lowering/measured.toml from the results of the study `fast`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.studies.zoo_document import PRECISIONS, ROWS, Row
from mocovit_deploy.terminal.table import markdown_table

Result = Mapping[str, Any]

HEADER = (
    "network",
    "M instructions: stock",
    "ours",
    "modelled ms: stock",
    "ours",
    "partitions",
    "transposes",
)
STEP_HEADER = ("after", "M instructions", "modelled ms", "partitions", "transposes", "operators")


def document(files: Mapping[Row, Result], steps: Mapping[Row, Result]) -> str:
    """The text of docs/fast.md."""
    parts = [_HEAD]
    for precision in PRECISIONS:
        parts += [
            f"## {precision}\n",
            numbers_table(HEADER, [_line(row, r, precision) for row, r in files.items()]),
        ]
    failures = [line for row, result in files.items() for line in _failures(row, result)]
    if failures:
        parts += ["## What fell short\n", "\n".join(failures) + "\n"]
    parts += ["## What each rewrite did\n", _HOW_OFTEN, "\n".join(_rewrites(files)) + "\n"]
    for row, result in steps.items():
        parts.append(f"## {row.title}, a rewrite at a time\n")
        for precision in PRECISIONS:
            lines = [(label, *figures(one)) for label, one in result["done"][precision]]
            parts += [f"{precision}:\n", numbers_table(STEP_HEADER, lines)]
    parts += ["## Of what\n", _sources({**files, **steps})]
    return "\n".join(parts)


def measured(ablations: Sequence[tuple[Row, Result]]) -> str:
    """The text of measured.toml: millions of instructions by runtime, arithmetic, rewrite and network."""
    lines: dict[tuple[str, str], list[str]] = {}
    for row, result in ablations:
        for engine, by_arithmetic in result["done"].items():
            for arithmetic, by_rewrite in by_arithmetic.items():
                for rewrite, one in by_rewrite.items():
                    text = f"{{ with = {one['with']:.3f}, without = {one['without']:.3f} }}"
                    lines.setdefault((engine, arithmetic), []).append(f"{rewrite}.{row.title} = {text}")
    tables = [
        f'["{engine}".{arithmetic}]\n' + "\n".join(sorted(of_table)) + "\n"
        for (engine, arithmetic), of_table in sorted(lines.items())
    ]
    return _MEASURED_HEAD + "\n".join(tables)


def _line(row: Row, result: Result, precision: str) -> tuple[str, ...]:
    stock, ours = result["done"]["stock"][precision], result["done"]["ours"][precision]
    if "error" in ours:
        stock_count, stock_ms = f"{stock['instructions'] / 1e6:.1f}", f"{stock['modelled_ms']:.2f}"
        return (row.title, stock_count, "no file", stock_ms, "-", "-", "-")
    return (
        row.title,
        f"{stock['instructions'] / 1e6:.1f}",
        f"{ours['instructions'] / 1e6:.1f}",
        f"{stock['modelled_ms']:.2f}",
        f"**{ours['modelled_ms']:.2f}**",
        _change(stock, ours, "partitions"),
        _change(stock, ours, "transposes"),
    )


def _change(stock: Result, ours: Result, key: str) -> str:
    return f"{stock[key]} → {ours[key]}"


def figures(one: Result) -> tuple[str, ...]:
    """The cells of a row of `STEP_HEADER` after the first."""
    return (
        f"{one['instructions'] / 1e6:.2f}",
        f"{one['modelled_ms']:.2f}",
        str(one["partitions"]),
        str(one["transposes"]),
        str(one["operators"]),
    )


def _failures(row: Row, result: Result) -> list[str]:
    """The shortcomings of a row: no file, fp16 that was not run, several partitions."""
    found = []
    for precision, ours in result["done"]["ours"].items():
        where = f"- {row.title} {precision}: "
        if "error" in ours:
            found.append(where + str(ours["error"]))
            continue
        if precision == "fp16" and not ours["half"]:
            found.append(where + "its fp16 arithmetic was not run")
        if ours["partitions"] != 1:
            found.append(f"{where}{ours['partitions']} partitions, outside: {ours['outside']}")
        found += [where + note for note in ours["notes"] if "litert-torch" in note]
    return found


def _rewrites(files: Mapping[Row, Result]) -> list[str]:
    lines = []
    for row, result in files.items():
        for precision in PRECISIONS:
            done = result["done"]["ours"][precision].get("rewrites", {})
            if done:
                text = ", ".join(f"{name} {count}" for name, count in done.items())
                lines.append(f"- {row.title} {precision}: {text}")
    return lines


def _sources(results: Mapping[Row, Result]) -> str:
    known = {(r["commit"], tuple(f"{tool} {v}" for tool, v in r["tools"].items())) for r in results.values()}
    lines = [f"- commit {commit}, {', '.join(used)}" for commit, used in sorted(known)]
    missing = [row.title for row in ROWS if row not in results]
    if missing:
        lines.append(f"- **{len(missing)} of {len(ROWS)} networks were not counted**: {', '.join(missing)}")
    return "\n".join(lines) + "\n"


def numbers_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, with a line break behind it; all columns but the first hold numbers."""
    return markdown_table(header, lines, numbers=True) + "\n"


_HEAD = """# TFLite files: stock against ours

Written by `make fast`; do not edit. Stock is `litert_torch.convert(original.eval(), NCHW sample)`, and the
same file marked for half precision. Ours is `mocovit-export --format tflite`: written from the graph itself,
NHWC by construction, with the rewrites that were counted to pay.

Instructions are those of one inference on one thread, LiteRT 2.3.0, executed by an emulated Cortex-A76: they
are exact. Milliseconds are modelled from them for a Snapdragon 855's prime core ([counting.md](counting.md)
says how, and how far off that has been). Every fp16 file of ours ran on that core in half precision and was
compared with the original network; one that did not pass has no count, and "What fell short" says why.
"""
_HOW_OFTEN = """In how many places of each network; the file's manifest names them by module path.
"""
_MEASURED_HEAD = """# Millions of instructions of one inference on an emulated Cortex-A76, one thread: of
# the file with this rewrite and all others that files of this arithmetic get, and of that file without it.
# Written by: make fast ARGS="--stage ablation"

"""
