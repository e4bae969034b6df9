"""Every network of the field through the whole line: one row of docs/zoo.md each.

    python benchmarks/zoo.py [--only PATTERN] [--folder DIR]

A row is two child processes: `mocovit-export --summary` for parameters and MACs, `mocovit-export` with all
formats for everything else. Its results go to a JSON file in `--folder` when it is done, and a row that has
one is not run again until the sources change: a run that was killed goes on where it was. The files
themselves are deleted when they are counted. docs/zoo.md is written when no row is missing.

Expect `MINUTES` on two cores, and at most `DISK_CAP_GB` of disk at a time.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mocovit_deploy.artifact import write_atomically
from mocovit_deploy.table import table

CHECKOUT = Path(__file__).resolve().parent.parent
DOCUMENT = CHECKOUT / "docs" / "zoo.md"
FORMATS = ("onnx", "coreml", "tflite")
EXPORT = "import sys; from mocovit_deploy.cli import export_main; sys.exit(export_main())"
OPERATORS = """
import json, sys
from mocovit_deploy.artifact import read_manifest
from pathlib import Path

def onnx(path):
    import onnx
    return len(onnx.load(path, load_external_data=False).graph.node)

def coreml(path):
    from exporters.coreml.read import read
    return len(read(Path(path)).operations)

def tflite(path):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return len(Interpreter(path, experimental_op_resolver_type=plain)._get_ops_details())

count = {"onnx": onnx, "coreml": coreml, "tflite": tflite}
print(json.dumps({path: count[read_manifest(Path(path)).format](path) for path in sys.argv[1:]}))
"""
MINUTES = 40
DISK_CAP_GB = 3
TIMEOUT_S = 1800


@dataclass(frozen=True)
class Row:
    """A network at a size; None is the size its source declares."""

    model: str
    size: int | None = None

    @property
    def words(self) -> tuple[str, ...]:
        size = () if self.size is None else ("--image-size", str(self.size))
        return ("--model", self.model, *size)

    @property
    def slug(self) -> str:
        return self.model.replace("/", "_") + (f"_{self.size}" if self.size else "")


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

HEADER = (
    "network",
    "input",
    "parameters",
    "MACs",
    "with attention",
    "BatchNorms",
    "refused",
    *(f"{name}: operators, max error" for name in ("ONNX", "Core ML", "TFLite")),
    "seconds",
)


class RowError(Exception):
    """A child ended without a report; the text is its last line."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        epilog=f"Expected: {MINUTES} minutes in all, at most {DISK_CAP_GB} GB of disk at a time.",
    )
    parser.add_argument("--only", default="*", metavar="PATTERN", help="rows like '*efficientvit*'")
    parser.add_argument(
        "--folder", type=Path, default=Path("build", "zoo"), metavar="DIR", help="%(default)s"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given.folder.mkdir(parents=True, exist_ok=True)
    sources = sources_digest()
    chosen = [row for row in ROWS if fnmatch.fnmatch(row.slug, given.only)]
    if not chosen:
        sys.stderr.write(
            f"zoo: no row is like {given.only!r} (there are {', '.join(r.slug for r in ROWS)})\n"
        )
        return 2
    for number, row in enumerate(chosen, 1):
        known = finished(given.folder, row, sources)
        if known is None or known.get("error"):
            _progress(f"[{number}/{len(chosen)}] {row.slug} ...")
            start = time.monotonic()
            result = {**run_row(row, given.folder), "sources": sources}
            write_atomically(given.folder / f"{row.slug}.json", json.dumps(result, indent=1).encode())
            _progress(f" {time.monotonic() - start:.0f} s, {result.get('error') or 'pass'}\n")
    results = {row: finished(given.folder, row, sources) for row in ROWS}
    done = {row: result for row, result in results.items() if result is not None}
    if len(done) == len(ROWS):
        write_atomically(DOCUMENT, document(done).encode())
        sys.stdout.write(f"written: {DOCUMENT}\n")
    else:
        sys.stdout.write(table(HEADER, [cells(row, result) for row, result in done.items()]) + "\n")
    return 4 if any(row not in done or done[row].get("error") for row in chosen) else 0


def sources_digest() -> str:
    """Changes with any file that could change a row."""
    total = hashlib.sha256()
    for package in ("mocovit_deploy", "exporters"):
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            total.update(f"{path.relative_to(CHECKOUT)}\0".encode() + path.read_bytes())
    return total.hexdigest()[:16]


def finished(folder: Path, row: Row, sources: str) -> dict[str, Any] | None:
    """The row's result, where it is of these sources; one that failed is kept, but run again next time."""
    try:
        result: dict[str, Any] = json.loads((folder / f"{row.slug}.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return result if result.get("sources") == sources else None


def run_row(row: Row, folder: Path, formats: tuple[str, ...] = FORMATS) -> dict[str, Any]:
    """Everything the table says of one network; `error` where the line ended early or a file failed."""
    if shutil.disk_usage(folder).free < DISK_CAP_GB * 1e9:
        return {"error": f"less than {DISK_CAP_GB} GB of disk are free in {folder}"}
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=folder, prefix="files-") as scratch:
        try:
            summary = _report([EXPORT, *row.words, "--summary", "--json"])
            place = ("--output-dir", scratch, "--json")
            export = _report([EXPORT, *row.words, "--format", ",".join(formats), *place])
            paths = [one["path"] for one in export["files"] if one["path"]]
            operators = _report([OPERATORS, *paths])
        except RowError as failure:
            return {"error": str(failure)}
    errors = [one["error"] for one in export["files"] if one["error"]]
    return {
        "input": summary["inputs"],
        "total": summary["total"],
        "batch_norms": export["batch_norms"],
        "refused": [refusal for one in export["passes"] for refusal in one["refusals"]],
        "files": {
            one["format"]: {
                "verdict": one["parity"]["verdict"],
                "max_error": max((out["max_error"] for out in one["parity"]["outputs"]), default=None),
                "operators": operators.get(one["path"]),
                "error": one["error"],
            }
            for one in export["files"]
        },
        "seconds": round(time.monotonic() - start, 1),
        "error": "; ".join(errors) or None,
    }


def _report(code_and_words: list[str]) -> dict[str, Any]:
    """The JSON that a child prints. The child, and whatever it starts, ends with this process."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]),
    }
    child = subprocess.Popen(
        [sys.executable, "-c", *code_and_words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        out, err = child.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise RowError(f"took longer than {TIMEOUT_S} s") from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    try:
        report: dict[str, Any] = json.loads(out)
    except ValueError:
        last = err.strip().splitlines()[-1:] or ["nothing said"]
        raise RowError(f"{last[0]} (exit status {child.returncode})") from None
    return report


def cells(row: Row, result: dict[str, Any]) -> tuple[str, ...]:
    """One line of the table."""
    name = row.model.removeprefix("timm/")
    if "total" not in result:
        return (name, str(row.size or ""), str(result["error"]), *[""] * (len(HEADER) - 3))
    total, norms = result["total"], result["batch_norms"]
    return (
        name,
        " ".join("x".join(map(str, shape)) for shape in result["input"].values()),
        f"{total['parameters']:,}",
        f"{total['macs'] / 1e6:,.1f} M",
        f"{(total['macs'] + total['attention_macs']) / 1e6:,.1f} M",
        f"{norms['before']} → {norms['after']}",
        str(len(result["refused"])),
        *(_file(result["files"].get(name)) for name in FORMATS),
        f"{result['seconds']:.0f}",
    )


def _file(one: dict[str, Any] | None) -> str:
    if one is None:
        return "-"
    if one["max_error"] is None:
        return f"{one['verdict']}: {one['error']}"
    verdict = "" if one["verdict"] == "pass" else f", {one['verdict']}"
    return f"{one['operators']}, {one['max_error']:.1e}{verdict}"


def document(done: dict[Row, dict[str, Any]]) -> str:
    """docs/zoo.md."""
    lines = [
        "# Networks",
        "",
        "Made by `make zoo`: every network captured, re-parameterized, written in fp32 in three formats, and",
        "each file compared with the network it came from (largest difference, as a fraction of the output's",
        "range). Weights are random and seeded. MACs are of convolutions and linear layers, then with the",
        "products of attention.",
        "",
        f"| {' | '.join(HEADER)} |",
        f"|{'---|' * len(HEADER)}",
        *(f"| {' | '.join(cells(row, result))} |" for row, result in done.items()),
    ]
    return "\n".join(lines) + "\n"


def _progress(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        _progress("\nzoo: stopped; run it again to go on\n")
        sys.exit(130)
