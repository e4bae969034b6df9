"""The folders that a case is read in, and what may not appear there."""

from __future__ import annotations

import shutil
from pathlib import Path

from hostile.mutate import OUTSIDE
from hostile.seeds import Files


class Arena:
    """Folders for cases: `case/` is the current folder of a reader, and nothing beside it may appear."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.case = root / "case"
        self.scratch = root / "tmp"

    def lay(self, files: Files) -> None:
        """Put the files of a case where the reader finds them."""
        for folder in (self.case, self.scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for name, data in files.items():
            path = self.case / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def problem(self, files: Files) -> str:
        """What was written where nothing may be; empty where all is as it was."""
        beside = sorted({path.name for path in self.root.iterdir()} - {"case", "tmp", "stderr"})
        if "CANARY" in beside:
            (self.root / "CANARY").unlink()
            return "code: the canary was touched"
        inside = {path.relative_to(self.case).as_posix() for path in self.case.rglob("*") if path.is_file()}
        written = [*beside, *sorted(inside - set(files))]
        for name in beside:
            path = self.root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if Path(OUTSIDE).exists():
            Path(OUTSIDE).unlink()
            written.append(OUTSIDE)
        return f"outside: wrote {', '.join(written)}" if written else ""
