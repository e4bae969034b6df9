"""The commit of the code that wrote a page."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SOURCES = ("mocovit_deploy", "exporters", "benchmarks")


def commit() -> str:
    """The checkout's short commit, followed by " + changes" if its files have uncommitted changes.

    Empty without git, and for an installed package inside another repository.
    """
    git = shutil.which("git")
    if git is None or not (CHECKOUT / ".git").exists():
        return ""

    def said(*words: str) -> str:
        done = subprocess.run(
            [git, *words], check=False, cwd=CHECKOUT, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = said("status", "--porcelain", "--untracked-files=no", "--", *SOURCES)
    return said("rev-parse", "--short=10", "HEAD") + (" + changes" if changed else "")
