"""Completion as shells do it: in a real bash, and in zsh and fish where they are installed."""

import shutil
import subprocess

import pytest

from mocovit_deploy.choices import TARGETS
from mocovit_deploy.cli.completion import script
from mocovit_deploy.cli.parsers import export_parser, parity_parser

SHELLS = [shell for shell in ("bash", "zsh", "fish") if shutil.which(shell)]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell in ("bash", "zsh", "fish"):
        (folder / shell).write_text(script(shell, (export_parser(), parity_parser())))
    return folder


def said(shell, code):
    found = subprocess.run([shutil.which(shell), "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stderr
    assert not found.stderr
    return found.stdout


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["--preci"], "--precision"),
        (["--format", "t"], "tflite"),
        (["--format", "onnx,t"], "onnx,tflite"),
        (["--format", "=", "co"], "coreml"),
        (["--measure", ""], " ".join(TARGETS)),
        (["--seed", ""], ""),
        (["--checkpoint", "weights"], "weights of mine.pt"),
    ],
)
def test_bash_completes(words, completions, scripts, tmp_path):
    (tmp_path / "weights of mine.pt").touch()
    typed = " ".join(f"'{word}'" for word in ("mocovit-export", *words))
    code = (
        f"cd {tmp_path}; source {scripts}/bash; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
        '_mocovit_export; echo "${COMPREPLY[*]}"'
    )
    assert said("bash", code).strip() == completions


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_of_their_shell(shell, scripts):
    assert said(shell, f"{shell} -n {scripts}/{shell}") == ""
    if shell == "fish":
        assert said(shell, f"source {scripts}/fish; complete -C 'mocovit-parity --bis'").startswith(
            "--bisect"
        )
    if shell == "zsh":
        loaded = f"autoload -U compinit; compinit -u -D; source {scripts}/zsh; print $_comps[mocovit-export]"
        assert said(shell, loaded).strip() == "_mocovit_export"


def test_every_option_is_in_every_script(scripts):
    for parser in (export_parser(), parity_parser()):
        for action in parser._actions:
            for word in action.option_strings:
                for shell in ("bash", "zsh"):
                    assert word in (scripts / shell).read_text()
                assert word.lstrip("-") in (scripts / "fish").read_text()
