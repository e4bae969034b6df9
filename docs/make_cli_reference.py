"""Write docs/cli.md from what each command prints for --help. A test compares the two."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

from benchmarks.cli.main import main as bench
from mocovit_deploy.cli import main as cli

COMMANDS = (
    ("mocovit-export", cli._export, ()),
    ("mocovit-parity", cli._parity, ()),
    ("mocovit-bench", bench, ()),
    *(("mocovit-bench", bench, (word,)) for word in ("run", "ab", "compare", "page", "doctor", "bundle")),
    *(("mocovit-bench", bench, (word,)) for word in ("emulator", "calibrate")),
)


def reference() -> str:
    """The text of docs/cli.md."""
    os.environ["COLUMNS"] = "100"
    parts = ["# Command line\n\nMade by `make docs` from `--help`.\n"]
    for name, command, words in COMMANDS:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            command([*words, "--help"])
        parts.append(f"## {' '.join((name, *words))}\n\n```\n{out.getvalue()}```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(reference())
