"""Documentation that cannot lie: compared with the program itself."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mocovit_deploy.passes import PASSES

ROOT = Path(__file__).parent.parent


def test_the_cli_reference_is_what_help_prints(monkeypatch):
    maker = _script("make_cli_reference")
    monkeypatch.setenv("COLUMNS", "100")
    assert (ROOT / "docs" / "cli.md").read_text() == maker.reference(), "run: make docs"


def _script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_architecture_is_that_of_the_imports():
    maker = _script("make_architecture")
    rooms = maker.rooms()
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert text == maker.document(text, rooms), "run: make docs"
    assert (ROOT / "docs" / "architecture.svg").read_text() == maker.picture(rooms), "run: make docs"


def test_a_circle_of_rooms_is_found():
    maker = _script("make_architecture")
    graph = {"a.x": frozenset({"a.y"}), "a.y": frozenset({"a.z"}), "a.z": frozenset({"a.x"})}
    with pytest.raises(ValueError, match="a.x -> a.y -> a.z -> a.x"):
        maker.document((ROOT / "docs" / "architecture.md").read_text(), graph)


def test_figures_that_several_places_name_agree(monkeypatch, tmp_path):
    maker = _script("make_figures")
    assert list(maker.differing()) == [], "run: make docs"
    changed = tmp_path / "figures.toml"
    changed.write_text(maker.FIGURES.read_text().replace('"0.014 %"', '"0.3 %"'))
    monkeypatch.setattr(maker, "FIGURES", changed)
    assert {line.partition(":")[0] for line in maker.differing()} >= {"README.md", "docs/contract.md"}


@pytest.mark.slow
def test_the_passes_are_as_exact_as_the_readme_says():
    maker = _script("make_figures")
    for name, value in maker.measure().items():
        assert float(value) <= 4 * float(maker.figures()[name]["value"])


def test_every_decision_is_in_the_index():
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    for path in (ROOT / "docs" / "decisions").glob("0*.md"):
        title = path.read_text().splitlines()[0].removeprefix(f"# {int(path.name[:4])}. ")
        assert f"| [{path.name[:4]}. {title}]({path.name}) |" in index, path.name


def test_the_readme_names_every_pass():
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in PASSES)


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_the_makefile_has_what_the_readme_types():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = set(re.findall(r"(?:^(?:\$ )?|`)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert typed >= {"export", "test", "zoo", "speed", "runtimes"}
    assert typed <= targets


def test_the_makefile_starts_programs_as_modules():
    """`python benchmarks/x.py` would put benchmarks/reports/statistics.py before the standard library's."""
    started = re.findall(r"bin/python (\S+ \S+)", (ROOT / "Makefile").read_text())
    assert not [words for words in started if words.startswith(("benchmarks/", "examples/"))]
    modules = [words.removeprefix("-m ") for words in started if words.startswith("-m ")]
    assert {
        "benchmarks.studies.zoo",
        "benchmarks.studies.export_speed",
        "benchmarks.studies.runtime_matrix",
    } <= set(modules)
    for module in modules:
        if module.startswith(("benchmarks.", "examples.")):
            command = [sys.executable, "-m", module, "--help"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stderr
            assert module.rpartition(".")[2] in done.stdout


def test_commands_that_documents_show_are_accepted(monkeypatch, tmp_path):
    """Every `mocovit-...` and `make ... ARGS=` of documents and workflow, by the programs' own parsers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    from benchmarks.cli.parser import build_parser
    from mocovit_deploy.cli import main as cli

    for command in (
        "export.run_export",
        "summary.run_summary",
        "parity.run_parity",
        "layers.run_layers",
        "ready.run_ready",
        "contract.run_contract",
        "first_contract.run_first_contract",
    ):
        monkeypatch.setattr(f"mocovit_deploy.cli.{command}", lambda *_, **__: 0)
    parse = {"export": cli._export, "parity": cli._parity, "bench": build_parser("mocovit-bench").parse_args}
    workflow = next((ROOT / ".github" / "workflows").glob("*.yml"))
    checked = []
    pages = [path for path in (ROOT / "docs").glob("*.md") if path.name != "cli.md"]
    for document in (ROOT / "README.md", *pages, workflow):
        text = document.read_text()
        shown = (
            [] if document in pages else re.findall(r"mocovit-(export|parity|bench)((?: [^`|\n]+)?)`", text)
        )
        shown += re.findall(r"^mocovit-(export|parity|bench) ((?:(?!  )[^#\n])+)", text, re.MULTILINE)
        shown += re.findall(r'make (?:--silent )?(export|parity|bench) ARGS=("[^"]*"|\S+)', text)
        for program, words in shown:
            given = shlex.split(words.strip('"').replace("...", ""))
            if given and "--help" not in given:
                try:
                    parse[program](given)
                except SystemExit as end:  # what prints something and stops
                    assert not end.code
                checked.append(program)
    assert set(checked) == set(parse)
    assert len(checked) > 12


def test_the_python_of_the_readme_runs(capsys, tmp_path):
    from light_networks import shuffle_like

    names = {"network": shuffle_like().eval(), "images": torch.zeros(1, 3, 224, 224), "folder": tmp_path}
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL):
        exec(code, names)  # noqa: S102 - the README's own words
    assert names["logits"].shape == (1, 10)
    assert names["report"].verdict == "pass"
    assert "Net_224_fp32.onnx pass" in capsys.readouterr().out


def test_examples_in_help_are_accepted():
    from mocovit_deploy.cli import parsers as options

    parser = options.export_parser()
    lines = [
        line.split("   ")[0].split() for line in options.EXPORT_EXAMPLES.splitlines()[1:] if line.strip()
    ]
    assert len(lines) >= 4
    for program, *words in lines:
        assert program == "mocovit-export"
        parser.parse_args(words)


def test_python_version():
    assert sys.version_info >= (3, 11)
