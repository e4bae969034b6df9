"""TFLite files of this project ("ours") against litert-torch's ("stock"), and the gain of each rewrite.

    python -m benchmarks.studies.fast [--stage WORD] [--only PATTERN] [--folder DIR] [--keep]

Stages, all by default:

files      every network of the zoo in fp32 and fp16, stock and ours: instructions, modelled milliseconds,
           partitions, transposes
steps      two networks from stock to ours, one rewrite at a time
ablation   each rewrite that counts decide on, with and without it, on networks that it changes. When all
           rows are done, exporters/tflite/lowering/measured.toml is written from them

A count is exact for a file and a runtime, so it is kept in `--folder` under the SHA-256 of the file and never
repeated. Rows are run again when the sources change, unless `--keep` is given. A run that was stopped resumes
where it was. docs/fast.md and the tables of docs/why-fast.md are written after every run; they name the rows
that are missing.

Expect 12 hours of one core for all of it, nearly all in the largest networks.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.studies.fast_document import document, measured
from benchmarks.studies.fast_files import Variant, count_file, write_ours, write_stock, write_variants
from benchmarks.studies.study import CHECKOUT, RowError, begun, parser_of, product_digest, run_study, tools
from benchmarks.studies.study import rows_like as chosen_rows
from benchmarks.studies.why_fast import filled
from benchmarks.studies.zoo_document import PRECISIONS, ROWS, Row
from exporters.tflite.lowering.choose import LOWERINGS, MEASURED, RUNTIME, is_chosen
from mocovit_deploy.files import digest, write_atomically
from mocovit_deploy.report.commit import commit

DOCUMENT = CHECKOUT / "docs" / "fast.md"
WALK = CHECKOUT / "docs" / "why-fast.md"


@dataclass(frozen=True)
class Ablation:
    """A rewrite, and the networks that it is counted on."""

    rewrite: str
    models: tuple[str, ...]


MOCOVIT, GHOSTNET, MOBILENET = "mocovit_1_0", "timm/ghostnet_100", "timm/mobilenetv3_large_100"
MOBILEVIT, EFFICIENTVIT, EFFICIENTNET = "timm/mobilevit_xxs", "timm/efficientvit_b0", "timm/efficientnet_b0"
ABLATIONS = (
    Ablation("transpose_once", (EFFICIENTVIT,)),
    Ablation("split_projection", (MOBILEVIT,)),
    Ablation("absorb_layer_norm", (MOBILEVIT,)),
    Ablation("centre_residual", (MOBILEVIT,)),
    Ablation("double_ghost", (MOCOVIT, GHOSTNET)),
    Ablation("sink_concat", (MOCOVIT, GHOSTNET)),
    Ablation("silu_by_tanh", (EFFICIENTNET, MOBILEVIT)),
    Ablation("pool_global_mean", (MOCOVIT, MOBILENET)),
    Ablation("split_last_row", (MOCOVIT, MOBILENET)),
    Ablation("pad_rows", (MOCOVIT, MOBILENET)),
)
STEPS = (MOCOVIT, EFFICIENTVIT)


def main() -> int:
    """Run the stages that the options select and write the document. Returns the exit status."""
    parser = parser_of("fast", __doc__)
    parser.add_argument("--stage", choices=tuple(STAGES), help="only this one")
    given = begun(parser, [row for stage in STAGES.values() for row in stage.rows])
    wanted = None if given.keep else product_digest()
    failed = False
    for name in STAGES if given.stage is None else (given.stage,):
        for row in chosen_rows(STAGES[name].rows, given.only):
            result = _finished(given.folder, name, row, wanted) or _run(given.folder, name, row)
            failed = failed or bool(result["error"])
    done = {
        name: {row: known for row in stage.rows if (known := _finished(given.folder, name, row, wanted))}
        for name, stage in STAGES.items()
    }
    write_atomically(DOCUMENT, document(done["files"], done["steps"]).encode())
    write_atomically(WALK, filled(WALK.read_text(encoding="utf-8"), done["files"], done["steps"]).encode())
    sys.stdout.write(f"written: {DOCUMENT}, {WALK}\n")
    if len(done["ablation"]) == len(STAGES["ablation"].rows):
        write_atomically(MEASURED, measured(list(done["ablation"].items())).encode())
        sys.stdout.write(f"written: {MEASURED}\n")
    return 4 if failed else 0


def files_of(row: Row, folder: Path, scratch: Path) -> dict[str, Any]:
    """The counts of stock and ours by precision, and for ours the rewrites and the verdict of the export."""
    stock = _stock(row, folder, scratch)
    ours = {}
    for precision, one in write_ours(row, scratch).items():
        if one["error"]:
            ours[precision] = {"error": one["error"].replace(f"{scratch}/", "")}
            continue
        changed = {done["name"]: len(done["changes"]) for done in one["lowering"]}
        half = one["parity"]["half"] or {}
        told = {"rewrites": changed, "notes": one["notes"], "half": half.get("reason")}
        ours[precision] = {**count_file(Path(one["path"]), folder), **told}
    return {"stock": stock, "ours": ours}


def _stock(row: Row, folder: Path, scratch: Path) -> dict[str, Any]:
    """The counts of litert-torch's files by precision, kept as long as the tools are the same."""
    kept = folder / f"stock-{row.slug}.json"
    try:
        known: dict[str, Any] = json.loads(kept.read_bytes())
    except (FileNotFoundError, ValueError):
        known = {}
    if known.get("tools") != tools():
        counts = {
            precision: count_file(path, folder) for precision, path in write_stock(row, scratch).items()
        }
        known = {"tools": tools(), "counts": counts}
        write_atomically(kept, json.dumps(known, indent=1).encode())
    counted: dict[str, Any] = known["counts"]
    return counted


def steps_of(row: Row, folder: Path, scratch: Path) -> dict[str, Any]:
    """By precision: counts of stock, of the direct writer alone, and after each rewrite with an effect."""
    stock = _stock(row, folder, scratch)
    steps: dict[str, Any] = {}
    for precision in PRECISIONS:
        names = chosen_lowerings(precision)
        upto = [Variant(precision, names[:number]) for number in range(len(names) + 1)]
        paths = write_variants(row, scratch, upto)
        steps[precision] = [("litert-torch", stock[precision])]
        before = None
        for variant, path in paths.items():
            if digest(path) != before:
                label = variant.rewrites[-1] if variant.rewrites else "direct writer"
                steps[precision].append((label, count_file(path, folder)))
            before = digest(path)
    return steps


def ablation_of(row: Row, folder: Path, scratch: Path) -> dict[str, Any]:
    """By runtime, arithmetic and rewrite: millions of instructions with and without the rewrite."""
    rewrites = [one.rewrite for one in ABLATIONS if row.model in one.models]
    pairs: dict[tuple[str, str], tuple[Variant, Variant]] = {}
    for precision in PRECISIONS:
        names = chosen_lowerings(precision)
        for rewrite in set(rewrites) & set(possible_lowerings(precision)):
            used = [one for one in possible_lowerings(precision) if one == rewrite or one in names]
            left = [one for one in used if one != rewrite]
            pairs[precision, rewrite] = (Variant(precision, tuple(used)), Variant(precision, tuple(left)))
    paths = write_variants(row, scratch, list(dict.fromkeys(one for pair in pairs.values() for one in pair)))
    found: dict[str, Any] = {}
    for (precision, rewrite), pair in pairs.items():
        with_it, without = (count_file(paths[one], folder) for one in pair)
        of_runtime = found.setdefault(with_it["engine"], {}).setdefault(precision, {})
        of_runtime[rewrite] = {
            "with": round(with_it["instructions"] / 1e6, 3),
            "without": round(without["instructions"] / 1e6, 3),
        }
    return found


def chosen_lowerings(arithmetic: str) -> tuple[str, ...]:
    """The rewrites that files of this arithmetic get, in order."""
    return tuple(one.name for one in LOWERINGS if is_chosen(one, arithmetic, RUNTIME))


def possible_lowerings(arithmetic: str) -> tuple[str, ...]:
    """The rewrites that files of this arithmetic could get, in order."""
    return tuple(one.name for one in LOWERINGS if arithmetic in one.decided)


@dataclass(frozen=True)
class Stage:
    """A part of the study: its rows, and the function that does one."""

    rows: tuple[Row, ...]
    work: Callable[[Row, Path, Path], dict[str, Any]]


STAGES = {
    "files": Stage(ROWS, files_of),
    "steps": Stage(tuple(map(Row, STEPS)), steps_of),
    "ablation": Stage(
        tuple(Row(model) for model in dict.fromkeys(model for one in ABLATIONS for model in one.models)),
        ablation_of,
    ),
}


def _run(folder: Path, stage: str, row: Row) -> dict[str, Any]:
    """Run one row and keep its result. A row that failed is run again next time."""
    sys.stderr.write(f"{stage} {row.slug} ...")
    sys.stderr.flush()
    start = time.monotonic()
    result: dict[str, Any] = {"error": None, "done": None}
    with tempfile.TemporaryDirectory(dir=folder, prefix="files-") as scratch:
        try:
            result["done"] = STAGES[stage].work(row, folder, Path(scratch))
        except RowError as failure:
            result["error"] = str(failure)
    sys.stderr.write(f" {time.monotonic() - start:.0f} s, {result['error'] or 'done'}\n")
    result |= {"sources": product_digest(), "commit": commit(), "tools": tools()}
    write_atomically(folder / f"{stage}-{row.slug}.json", json.dumps(result, indent=1).encode())
    return result


def _finished(folder: Path, stage: str, row: Row, sources: str | None) -> dict[str, Any] | None:
    """The result of a row if it did not fail and is of these sources (None for any)."""
    try:
        result: dict[str, Any] = json.loads((folder / f"{stage}-{row.slug}.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return result if not result["error"] and sources in (None, result["sources"]) else None


if __name__ == "__main__":
    run_study("fast", main)
