"""Scripts that let bash, zsh and fish complete a command, generated from its parser.

A new option is in them at once. Completing starts no Python. For a program with commands, the options of each
command are completed.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Option(NamedTuple):
    """One option, with what a completion script needs of it."""

    words: tuple[str, ...]
    help: str
    values: tuple[str, ...]
    files: bool
    bare: bool
    """Needs no value."""


class Command(NamedTuple):
    """A program, or one command of a program that has several."""

    name: str
    help: str
    options: tuple[Option, ...]
    commands: tuple[Command, ...]
    """The commands that a program takes as its first word; empty if it takes files."""


Values = Mapping[str, Sequence[str]]
"""The values that options take, by their names in the parser; `FILES` for an option that takes files."""
FILES = ("",)


def script(shell: str, parsers: Sequence[argparse.ArgumentParser], values: Values) -> str:
    """The completion script of all `parsers` for `shell`, one of `mocovit_deploy.choices.SHELLS`.

    `values` lists the values of options for which neither `choices` nor the type `Path` does.
    """
    made = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
    commands = [_command(parser.prog, "", parser, values) for parser in parsers]
    return "\n".join(line for command in commands for line in made(command)) + "\n"


def _command(name: str, about: str, parser: argparse.ArgumentParser, values: Values) -> Command:
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {one.dest: one.help or "" for one in action._choices_actions}
            found += [_command(word, told.get(word, ""), own, values) for word, own in action.choices.items()]
    return Command(name, about, tuple(_options(parser, values)), tuple(found))


def _options(parser: argparse.ArgumentParser, values: Values) -> Iterator[Option]:
    for action in parser._actions:
        if not action.option_strings:
            continue
        taken = tuple(map(str, action.choices or values.get(action.dest, ())))
        files = action.type is Path or taken == FILES
        said = re.sub(r"\s+", " ", (action.help or "").replace("%%", "%"))
        yield Option(
            tuple(action.option_strings), said, () if files else taken, files, action.nargs in (0, "?")
        )


def _function(program: str, command: str = "") -> str:
    return f"_{program}{'_' if command else ''}{command}".replace("-", "_")


def _bash(program: Command) -> Iterator[str]:
    name = _function(program.name)
    for one in program.commands:
        yield from _bash_function(_function(program.name, one.name), one)
    yield from _bash_function(name, program)
    yield f"complete -F {name} {program.name}"


def _bash_function(name: str, command: Command) -> Iterator[str]:
    yield f"{name}() {{"
    if command.commands:
        yield "  local word"
        yield '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
        yield '    case "$word" in'
        yield from (f"      {one.name}) {name}_{one.name}; return ;;" for one in command.commands)
        yield "    esac"
        yield "  done"
    yield '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" head=""'
    yield '  if [[ $cur == "=" ]]; then cur=""'
    yield '  elif [[ $prev == "=" ]]; then prev="${COMP_WORDS[COMP_CWORD-2]}"; fi'
    yield '  [[ $cur == *,* ]] && head="${cur%,*},"'
    yield '  case "$prev" in'
    files = 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))'
    for one in command.options:
        if one.values:
            yield f"    {'|'.join(one.words)})"
            yield (f'      COMPREPLY=($(compgen -P "$head" -W \'{" ".join(one.values)}\' -- "${{cur##*,}}"))')
            yield "      return ;;"
        elif not one.bare:
            yield f"    {'|'.join(one.words)})"
            yield f"      {files if one.files else 'COMPREPLY=()'}; return ;;"
    yield "  esac"
    every = " ".join(word for one in command.options for word in one.words)
    yield "  if [[ $cur == -* ]]; then"
    yield f"    COMPREPLY=($(compgen -W '{every}' -- \"$cur\"))"
    words = " ".join(one.name for one in command.commands)
    yield (
        f"  else {files}; fi" if not words else f"  else COMPREPLY=($(compgen -W '{words}' -- \"$cur\")); fi"
    )
    yield "}"


def _zsh(program: Command) -> Iterator[str]:
    name = _function(program.name)
    for one in program.commands:
        yield from _zsh_function(_function(program.name, one.name), one)
    yield from _zsh_function(name, program)
    yield f"compdef {name} {program.name}"


def _zsh_function(name: str, command: Command) -> Iterator[str]:
    yield f"{name}() {{"
    if command.commands:
        yield "  local state"
    yield f"  _arguments {'-C' if command.commands else '-S'} \\"
    for one in command.options:
        value = ""
        if one.values:
            value = f":value:_sequence compadd - {' '.join(one.values)}"
        elif not one.bare:
            value = ":file:_files" if one.files else ":value: "
        for word in one.words:
            yield f"    {_zsh_quoted(f'{word}[{_zsh_escaped(one.help)}]{value}')} \\"
    if command.commands:
        told = " ".join(f'{one.name}\\:"{_zsh_escaped(one.help)}"' for one in command.commands)
        yield f"    {_zsh_quoted(f'1:command:(({told}))')} \\"
        yield "    '*::words:->words'"
        yield "  [[ $state == words ]] && case $words[1] in"
        yield from (f"    {one.name}) {name}_{one.name} ;;" for one in command.commands)
        yield "  esac"
    else:
        yield "    '*:file:_files'"
    yield "}"


def _zsh_escaped(help_text: str) -> str:
    """A help text for brackets or double quotes in a word of _arguments, which takes the escapes off."""
    return re.sub(r'([\\\[\]:"`$])', r"\\\1", help_text)


def _zsh_quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _fish(program: Command) -> Iterator[str]:
    yield from _fish_options(
        program.name, program.options, "__fish_use_subcommand" if program.commands else ""
    )
    for one in program.commands:
        said = _fish_said(one.help)
        yield f"complete -c {program.name} -f -n __fish_use_subcommand -a {one.name} -d '{said}'"
        yield from _fish_options(program.name, one.options, f"__fish_seen_subcommand_from {one.name}")


def _fish_options(program: str, options: Sequence[Option], where: str) -> Iterator[str]:
    only = f" -n '{where}'" if where else ""
    for one in options:
        flags = " ".join(
            f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}" for word in one.words
        )
        takes = "" if one.bare else " -r" if one.files else " -x"
        values = f" -a '{' '.join(one.values)}'" if one.values else ""
        yield f"complete -c {program}{only} {flags}{takes}{values} -d '{_fish_said(one.help)}'"


def _fish_said(words: str) -> str:
    return words.replace("\\", "\\\\").replace("'", "\\'")
