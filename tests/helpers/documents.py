"""What the documents show between fences, and what of it is typed."""

import re
import shlex
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str = "") -> list[str]:
    """The text between each pair of fences of docs/`page` whose first names `language`, or none."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text(), re.DOTALL | re.MULTILINE)
    return [text for kind, text in fences if kind == language]


def commands(page: str) -> list[list[str]]:
    """The words of each command of docs/`page`, without the remark behind it."""
    lines = [re.split(r"#|   ", line)[0] for block in blocks(page) for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("mocovit-")]
