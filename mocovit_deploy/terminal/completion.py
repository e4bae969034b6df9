"""Scripts that let bash, zsh and fish complete mocovit-export and mocovit-parity.

They are made of the parsers, so that a new option is in them at once, and start no Python when they complete.

    eval "$(mocovit-export --completion bash)"      in ~/.bashrc
    eval "$(mocovit-export --completion zsh)"       in ~/.zshrc, after compinit
    mocovit-export --completion fish > ~/.config/fish/completions/mocovit-export.fish
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mocovit_deploy.choices import DEVICES, FORMATS, RUNTIMES, TARGETS
from mocovit_deploy.models.mocovit import NAMES as MOCOVITS
from mocovit_deploy.passes import PASSES
from mocovit_deploy.quantization.recipes import RECIPES
from mocovit_deploy.spec import AUTO, COLOUR_ORDERS, CONVERTERS, LAYOUTS, RANGE_RULES

VALUES: dict[str, Sequence[str]] = {
    "format": FORMATS,
    "precision": (*(recipe.name for recipe in RECIPES), AUTO),
    "model": MOCOVITS,
    "layout": LAYOUTS,
    "converter": CONVERTERS,
    "ranges": RANGE_RULES,
    "colour_order": COLOUR_ORDERS,
    "dynamic": ("batch",),
    "device": DEVICES,
    "runtime": RUNTIMES,
    "target": TARGETS,
    "measure": TARGETS,
    "without": PASSES,
}
"""What options take, by their names in the parsers, beside those that name files."""
FILES = ("config", "calibration", "data", "sweep")
"""Options whose values are files or folders, though their type does not say so."""


class Option(NamedTuple):
    """One option as shells want to know it."""

    words: tuple[str, ...]
    help: str
    values: tuple[str, ...]
    files: bool
    bare: bool
    """Takes no value."""


def script(shell: str, parsers: Sequence[argparse.ArgumentParser]) -> str:
    """The script for `shell`: "bash", "zsh" or "fish"."""
    made = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
    return "\n".join(line for parser in parsers for line in made(parser.prog, _options(parser))) + "\n"


def _options(parser: argparse.ArgumentParser) -> list[Option]:
    found = []
    for action in parser._actions:
        if not action.option_strings:
            continue
        values = tuple(map(str, action.choices or VALUES.get(action.dest, ())))
        files = action.type is Path or action.dest in FILES
        said = re.sub(r"\s+", " ", (action.help or "").replace("%%", "%"))
        found.append(Option(tuple(action.option_strings), said, values, files, action.nargs == 0))
    return found


def _bash(program: str, options: Sequence[Option]) -> Iterator[str]:
    name = f"_{program.replace('-', '_')}"
    yield f"{name}() {{"
    yield '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" head=""'
    yield '  if [[ $cur == "=" ]]; then cur=""'
    yield '  elif [[ $prev == "=" ]]; then prev="${COMP_WORDS[COMP_CWORD-2]}"; fi'
    yield '  [[ $cur == *,* ]] && head="${cur%,*},"'
    yield '  case "$prev" in'
    for one in options:
        if one.values:
            yield f"    {'|'.join(one.words)})"
            yield (f'      COMPREPLY=($(compgen -P "$head" -W \'{" ".join(one.values)}\' -- "${{cur##*,}}"))')
            yield "      return ;;"
        elif not one.bare:
            yield f"    {'|'.join(one.words)})"
            yield (
                '      compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return ;;'
                if one.files
                else "      COMPREPLY=(); return ;;"
            )
    yield "  esac"
    every = " ".join(word for one in options for word in one.words)
    yield "  if [[ $cur == -* ]]; then"
    yield f"    COMPREPLY=($(compgen -W '{every}' -- \"$cur\"))"
    yield '  else compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); fi'
    yield "}"
    yield f"complete -F {name} {program}"


def _zsh(program: str, options: Sequence[Option]) -> Iterator[str]:
    name = f"_{program.replace('-', '_')}"
    yield f"{name}() {{"
    yield "  _arguments -S \\"
    for one in options:
        said = re.sub(r"([\\\[\]:'\"`$])", r"\\\1", one.help).replace("\\'", "'\\''")
        value = ""
        if one.values:
            value = f":value:_sequence compadd - {' '.join(one.values)}"
        elif not one.bare:
            value = ":file:_files" if one.files else ":value: "
        for word in one.words:
            yield f"    '{word}[{said}]{value}' \\"
    yield "    '*:file:_files'"
    yield "}"
    yield f"compdef {name} {program}"


def _fish(program: str, options: Sequence[Option]) -> Iterator[str]:
    for one in options:
        flags = " ".join(
            f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}" for word in one.words
        )
        said = one.help.replace("\\", "\\\\").replace("'", "\\'")
        takes = "" if one.bare else " -r" if one.files else " -x"
        values = f" -a '{' '.join(one.values)}'" if one.values else ""
        yield f"complete -c {program} {flags}{takes}{values} -d '{said}'"
