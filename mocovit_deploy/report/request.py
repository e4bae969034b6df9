"""What to write of an export, beside its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mocovit_deploy.errors import UsageError


@dataclass(frozen=True)
class ReportRequest:
    """A page, a card, and what is measured for them."""

    page: Path | None = None
    card: Path | None = None
    measure: str | None = None
    """The target that every proven file is measured on."""
    words: tuple[str, ...] = ()
    """The command, as it was given."""

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.page, self.card) if path is not None)

    def require_writable(self, output_dir: Path) -> None:
        """Raise `UsageError` now for a file that could not be written after minutes of work.

        `output_dir` is made by the export.
        """
        for path in self.paths:
            if path.is_dir():
                raise UsageError(f"{path}: is a folder; name a file in it")
            folder = path.absolute().parent
            if not folder.is_dir() and folder != output_dir.absolute():
                raise UsageError(f"{path}: there is no folder {path.parent}; make it first")
