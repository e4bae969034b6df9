"""Completion as shells do it: in a real bash, and in zsh and fish where they are installed."""

import argparse
import shutil
import subprocess

import pytest

from benchmarks.cli import completion as of_the_bench
from benchmarks.cli.main import main as bench
from benchmarks.cli.parser import build_parser
from mocovit_deploy.choices import CPUS, SHELLS, TARGETS
from mocovit_deploy.cli.completion import VALUES
from mocovit_deploy.cli.parsers import export_parser, parity_parser
from mocovit_deploy.terminal.completion import script

INSTALLED = [shell for shell in SHELLS if shutil.which(shell)]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        of_exports = script(shell, (export_parser(), parity_parser()), VALUES)
        of_bench = script(shell, (build_parser("mocovit-bench"),), of_the_bench.VALUES)
        (folder / shell).write_text(of_exports + of_bench)
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


@pytest.mark.parametrize(
    ("words", "completions"),
    [
        (["d"], "doctor"),
        (["--comp"], "--completion"),
        (["--completion", "f"], "fish"),
        (["run", "net"], "network.tflite"),
        (["run", "network.tflite", "--cp"], "--cpu"),
        (["run", "network.tflite", "--cpu", ""], " ".join(CPUS)),
        (["doctor", "--per"], ""),
        (["ab", "--target", "=", "em"], "emulated"),
    ],
)
def test_bash_completes_the_commands_of_the_bench(words, completions, scripts, tmp_path):
    (tmp_path / "network.tflite").touch()
    typed = " ".join(f"'{word}'" for word in ("mocovit-bench", *words))
    code = (
        f"cd {tmp_path}; source {scripts}/bash; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
        '_mocovit_bench; echo "${COMPREPLY[*]}"'
    )
    assert said("bash", code).strip() == completions


@pytest.mark.parametrize("shell", SHELLS)
def test_the_bench_prints_its_own(shell, capsys):
    with pytest.raises(SystemExit) as end:
        bench(["--completion", shell])
    assert not end.value.code
    assert capsys.readouterr().out == script(shell, (build_parser("mocovit-bench"),), of_the_bench.VALUES)


@pytest.mark.parametrize("shell", INSTALLED)
def test_scripts_are_of_their_shell(shell, scripts):
    assert said(shell, f"{shell} -n {scripts}/{shell}") == ""
    if shell == "fish":
        assert said(shell, f"source {scripts}/fish; complete -C 'mocovit-parity --bis'").startswith(
            "--bisect"
        )
        bench = f"source {scripts}/fish; complete -C 'mocovit-bench run a.tflite --cpu '"
        assert [line.split()[0] for line in said(shell, bench).splitlines()] == sorted(CPUS)
    if shell == "zsh":
        loaded = f"autoload -U compinit; compinit -u -D; source {scripts}/zsh; print $_comps[mocovit-export]"
        assert said(shell, loaded).strip() == "_mocovit_export"
        assert _completed_by_zsh(scripts, "mocovit-bench d") == "mocovit-bench doctor"
        assert _completed_by_zsh(scripts, "mocovit-bench run a.tflite --fp") == (
            "mocovit-bench run a.tflite --fp16"
        )


@pytest.mark.parametrize("shell", INSTALLED)
def test_quotes_in_help_are_told_as_they_are(shell, tmp_path):
    parser = argparse.ArgumentParser(prog="tool", add_help=False)
    parser.add_argument("--own", help='the file\'s own [name]: "it", `it` or $it')
    commands = parser.add_subparsers()
    commands.add_parser("run", help='don\'t "stop": `go` or $go')
    (tmp_path / shell).write_text(script(shell, (parser,), {}))
    assert said(shell, f"{shell} -n {tmp_path}/{shell}") == ""
    if shell == "fish":
        told = said(shell, f"source {tmp_path}/fish; complete -C 'tool r'; complete -C 'tool --o'")
    elif shell == "zsh":
        # as the real _arguments does: it evaluates what is between the brackets
        printed = (
            "_arguments() { print -r -- $@; local of=${@[(r)1:*]}; "
            'eval "of=( ${${of#1:command:\\(\\(}%\\)\\)} )"; print -rl -- $of }'
        )
        told = said(shell, f"compdef() {{ }}; {printed}; source {tmp_path}/zsh; _tool || true")
    else:
        return  # bash shows no help
    assert "don't" in told
    assert "the file's own" in told


def _completed_by_zsh(scripts, typed):
    """What stands on the line of an interactive zsh after Tab."""
    line = scripts / "line"
    line.unlink(missing_ok=True)
    code = f"""
zmodload zsh/zpty
zpty shell "zsh -f -i"
zpty -w shell 'autoload -U compinit; compinit -u -D; source {scripts}/zsh'
zpty -w shell 'report() {{ print -r -- $BUFFER >{line} }}; zle -N report; bindkey "^X" report'
zpty -w -n shell $'{typed}\\t\\030'
for _ in {{1..200}}; do zpty -r -t shell || sleep 0.05; [[ -s {line} ]] && break; done
zpty -d shell
"""
    said("zsh", code)
    return line.read_text().strip()


def test_every_option_is_in_every_script(scripts):
    for parser in (export_parser(), parity_parser()):
        for action in parser._actions:
            for word in action.option_strings:
                for shell in ("bash", "zsh"):
                    assert word in (scripts / shell).read_text()
                assert word.lstrip("-") in (scripts / "fish").read_text()
