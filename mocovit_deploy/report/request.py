"""The reports that the user asked for besides the files of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mocovit_deploy.errors import UsageError


@dataclass(frozen=True)
class ReportRequest:
    """A page, a card, and the target that files are measured on."""

    page: Path | None = None
    """The HTML page to write; None for none."""
    card: Path | None = None
    """The model card to write; None for none."""
    measure: str | None = None
    """The target that every proven file is measured on; None for none."""
    words: tuple[str, ...] = ()
    """The words of the command."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files to write."""
        return tuple(path for path in (self.page, self.card) if path is not None)

    def require_writable(self, output_dir: Path) -> None:
        """Raise `UsageError` for a file that cannot be written, before minutes of work.

        The export creates `output_dir`.
        """
        for path in self.paths:
            if path.is_dir():
                raise UsageError(f"{path}: is a folder; name a file in it")
            folder = path.absolute().parent
            if not folder.is_dir() and folder != output_dir.absolute():
                raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")
