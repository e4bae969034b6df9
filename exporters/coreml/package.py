"""The manifest of an `.mlpackage`, which lists its files: the model and its weights.

coremltools follows any path in the manifest, so the paths are checked first.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from mocovit_deploy.untrusted.read import check_folder, read_json

_MANIFEST, _DATA = "Manifest.json", "Data"


def require_contained(package: Path) -> None:
    """Check that every item of the package's manifest is a file inside the package.

    Raises `ValueError` if one is not, `OSError` if the manifest cannot be read.
    """
    check_folder(package)
    document = read_json(package / _MANIFEST)
    items = document.get("itemInfoEntries") if isinstance(document, dict) else None
    if not isinstance(items, dict) or not items:
        raise ValueError("its manifest lists no items")
    for item in items.values():
        path = item.get("path") if isinstance(item, dict) else None
        if not isinstance(path, str) or not path.isprintable():
            raise ValueError("its manifest has an item without a path")
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or not (package / _DATA / path).exists():
            raise ValueError(f"its manifest leads to {path[:80]!r}, which is not in the package")
