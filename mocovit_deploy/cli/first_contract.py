"""mocovit-parity --init FILE...: write a first contract from measurements of existing files."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.contract.first import first_contract
from mocovit_deploy.errors import OutputError, UsageError
from mocovit_deploy.files import write_atomically
from mocovit_deploy.terminal.printable import printable
from mocovit_deploy.terminal.quiet import quiet


def run_first_contract(files: Sequence[Path], path: Path, *, verbose: bool) -> int:
    """Write the contract to `path`.

    Raises `UsageError` if `path` exists, `OutputError` if it cannot be written.
    """
    if path.exists():
        raise UsageError(f"{path}: already exists; name another file with --contract, or move this one away")
    with quiet(not verbose):
        contract = first_contract([read_manifest(file) for file in files], path.parent)
    written = {**contract.labels, path: contract.text}
    for place, text in written.items():
        try:
            write_atomically(place, text.encode())
        except OSError as error:
            raise OutputError(f"{place}: cannot be written ({error.strerror})") from None
    folders = dict.fromkeys(file.parent for file in files)
    where = f" --output-dir {shlex.quote(str(next(iter(folders))))}" if len(folders) == 1 else ""
    said = "".join(f"{place}: written, the labels of its files\n" for place in contract.labels)
    said += f"{path}: written; check it with: mocovit-parity --contract {shlex.quote(str(path))}{where}\n"
    sys.stdout.write(printable(said, keep="\n"))
    return 0
