"""The TFLite files that each runtime executes, with every runtime in a virtual environment of its own.

    python -m benchmarks.studies.runtime_matrix [FILE.tflite...]

Installs each runtime beside the core of this project (numpy, no torch), runs `mocovit-parity` on every file,
and prints a table of its verdicts. Without files, the standard network is first exported into build/, in the
precisions of `EXPORT_WORDS`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from benchmarks.studies.study import EXPORT, RowError, child_report
from mocovit_deploy.terminal.table import table

RUNTIMES = (
    ("tflite-runtime==2.14.0", "numpy<2"),
    ("ai-edge-litert==1.4.0", "numpy"),
    ("ai-edge-litert==2.3.0", "numpy"),
)
CHECKOUT = Path(__file__).resolve().parents[2]
EXPORT_WORDS = ("--format", "tflite", "--precision", "fp32,fp16,fp16_weights")
TIMEOUT_S = 600


def main() -> int:
    """Run the study on the options of the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    told = "default: mocovit_1_0 in fp32, fp16 and fp16_weights, exported into build/"
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help=told)
    try:
        files = [path.resolve() for path in parser.parse_args().files or exported()]
    except RowError as error:
        parser.error(str(error))
    if absent := [str(path) for path in files if not path.exists()]:
        parser.error(f"{absent[0]}: no such file; without files they are exported")
    columns = [_verdicts(packages, files) for packages in RUNTIMES]
    rows = [(path.name, *(column[i] for column in columns)) for i, path in enumerate(files)]
    sys.stdout.write(table(("file", *(packages[0] for packages in RUNTIMES)), rows) + "\n")
    return 0


def exported() -> list[Path]:
    """The files of the standard network, exported into build/. Raises `RowError` if that fails."""
    sys.stderr.write("no file given: exporting mocovit_1_0 into build/ ...\n")
    report = child_report([*EXPORT, *EXPORT_WORDS, "--output-dir", "build", "--json"])
    return [Path(one["path"]) for one in report["files"] if one["path"]]


def _verdicts(packages: tuple[str, ...], files: list[Path]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        install = [
            str(Path(folder, "bin", "python")),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*install, *packages], check=True, timeout=TIMEOUT_S)
        subprocess.run([*install, "--no-deps", str(CHECKOUT)], check=True, timeout=TIMEOUT_S)
        return [_verdict(Path(folder, "bin", "mocovit-parity"), path) for path in files]


def _verdict(program: Path, path: Path) -> str:
    """The verdict and largest error of a file, or the reason; "dies" if the runtime crashed."""
    command = [str(program), "--json", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    try:
        report = json.loads(done.stdout)["files"][0]
    except ValueError:
        return f"dies, status {done.returncode}"
    if not report["outputs"]:
        return f"{report['verdict']}: {report['reason']}"
    return f"{report['verdict']}, {report['outputs'][0]['max_error']:.1e}"


if __name__ == "__main__":
    sys.exit(main())
