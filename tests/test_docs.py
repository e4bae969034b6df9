"""Documentation that cannot lie: compared with the program itself."""

import importlib.util
import re
import sys
from pathlib import Path

from mocovit_deploy.passes import PASSES

ROOT = Path(__file__).parent.parent


def test_the_cli_reference_is_what_help_prints(monkeypatch):
    spec = importlib.util.spec_from_file_location(
        "make_cli_reference", ROOT / "docs" / "make_cli_reference.py"
    )
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    monkeypatch.setenv("COLUMNS", "100")
    assert (ROOT / "docs" / "cli.md").read_text() == maker.reference(), "run: make docs"


def test_the_readme_names_every_pass():
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in PASSES)


def test_links_between_documents_lead_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_makefile_has_what_the_readme_types():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = set(re.findall(r"^(?:\$ )?make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert typed
    assert typed <= targets


def test_examples_in_help_are_accepted():
    from mocovit_deploy import cli

    parser = cli._export_parser()
    lines = [line.split("   ")[0].split() for line in cli.EXPORT_EXAMPLES.splitlines()[1:] if line.strip()]
    assert len(lines) >= 4
    for program, *words in lines:
        assert program == "mocovit-export"
        parser.parse_args(words)


def test_python_version():
    assert sys.version_info >= (3, 11)
