"""Words for the registries of a copied tree."""

import re
from pathlib import Path


def add_word(module: Path, registry: str, word: str, before: str = "") -> None:
    """Write `word` into the tuple `registry`, last or before another."""
    text = module.read_text()
    found = re.search(rf"(?m)^{registry} = \((.*?)\)$", text)
    assert found, f"{module} has no tuple {registry}"
    new = found[1].replace(f'"{before}"', f'"{word}", "{before}"') if before else f'{found[1]}, "{word}"'
    module.write_text(text.replace(found[0], f"{registry} = ({new})"))
