"""mocovit-export --config FILE: options from a TOML file, as words of the command line.

    checkpoint = "digits.safetensors"       the options of mocovit-export, with _ or - between words
    format = ["tflite", "onnx"]             a list where an option takes one, or is given several times
    normalize = true                        an option without a value
    model_arg = { num_heads = 2 }           NAME=VALUE

The command line wins: an option that is given there is left out of the file's words. An option without a
value is taken back by its opposite: --no-normalize, and --simplify for no_simplify. Paths in the file are
relative to the folder of the file itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mocovit_deploy.contract.toml import read_toml
from mocovit_deploy.errors import UsageError, unknown_choice

OF_THE_COMMAND = ("help", "version", "config", "completion", "json", "verbose", "sweep", "ray")
"""Options that cannot stand in a file: how the command prints, or that it does something else."""
SOURCES = ("calibration", "data")
"""Options whose value may be a file, a folder or something else."""
CODE = (".py", ".pt2")
"""Suffixes of files that --model can name."""


def with_config(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """The options of the file that --config names, followed by the other `words`.

    `words` unchanged without --config. Raises `UsageError` for a file or an option that does not fit.
    """
    path, rest = config_in(words)
    if path is None:
        return list(words)
    back = taken_back(parser, rest)
    rest = [word for word in rest if word not in back]
    given = given_in(parser, rest)
    if both := next((word for word, name in back.items() if name in given), None):
        raise UsageError(f"{both} and --{back[both].replace('_', '-')} are both given; give one of them")
    return [*words_of(parser, read_toml(path), path, given | set(back.values())), *rest]


def taken_back(parser: argparse.ArgumentParser, words: Sequence[str]) -> dict[str, str]:
    """The words that take back an option without a value, each with that option's name in the parser.

    `--no-normalize` takes back "normalize", `--simplify` takes back "no_simplify".
    """
    bare = [action for action in parser._actions if action.nargs in (0, "?")]
    plain = [action for action in bare if action.dest not in OF_THE_COMMAND]
    opposites = {_opposite(text): action.dest for action in plain for text in action.option_strings}
    return {word: opposites[word] for word in words if word in opposites}


def _opposite(option: str) -> str:
    return f"--{option.removeprefix('--no-')}" if option.startswith("--no-") else f"--no-{option[2:]}"


def config_in(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The file that --config names (None without --config), and the other words.

    Raises `UsageError` if --config names no file, or is given twice.
    """
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--config", type=Path, action="append")
    try:
        found, rest = finder.parse_known_args(list(words))
    except argparse.ArgumentError:
        raise UsageError("--config: name a TOML file") from None
    paths = found.config or []
    if len(paths) > 1:
        raise UsageError("--config is given twice; give one file")
    return (paths[0] if paths else None), rest


def given_in(parser: argparse.ArgumentParser, words: Sequence[str]) -> frozenset[str]:
    """The options that occur among `words`, abbreviated ones too, by their names in the parser."""
    found = set()
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--"):
            fitting = {a.dest for text, a in parser._option_string_actions.items() if text.startswith(name)}
            exact = parser._option_string_actions.get(name)
            found |= {exact.dest} if exact else fitting
    return frozenset(found)


def words_of(
    parser: argparse.ArgumentParser,
    table: Mapping[str, Any],
    path: Path,
    given: frozenset[str] = frozenset(),
) -> list[str]:
    """A TOML table of options as words of the command line, without the options in `given`.

    The parser checks each. Raises `UsageError` for an unknown option or an impossible value, naming the file
    and the option.
    """
    known = {action.dest: action for action in parser._actions if action.dest not in OF_THE_COMMAND}
    words: list[str] = []
    for key, value in table.items():
        name = key.replace("-", "_")
        if name in OF_THE_COMMAND:
            raise UsageError(f"{path}: {key}: goes on the command line, not into a file")
        if name not in known:
            raise UsageError(f"{path}: {unknown_choice('option', key, known)}")
        said = list(_said(known[name], value, f"{path}: {key}", path.parent))
        try:
            parser.parse_args(said)
        except UsageError as error:
            raise UsageError(f"{path}: {key}: {str(error).partition(' (see ')[0]}") from None
        words += [] if name in given else said
    return words


def _said(action: argparse.Action, value: object, where: str, folder: Path) -> Iterator[str]:
    option = action.option_strings[0]
    if action.nargs == 0 or (action.nargs == "?" and isinstance(value, bool)):
        if not isinstance(value, bool):
            raise UsageError(f"{where}: {value!r:.60} is not true or false")
        yield from [option] if value else []
        return
    if isinstance(value, Mapping):
        if action.dest != "model_arg":
            raise UsageError(f"{where}: takes no table")
        for name, one in value.items():
            yield f"{option}={name}={one!r}" if not isinstance(one, str) else f"{option}={name}={one}"
        return
    members = value if isinstance(value, list) else [value]
    if not members:
        raise UsageError(f"{where}: an empty list")
    texts = [_placed(action, _text(one, where), folder) for one in members]
    if isinstance(action, argparse._AppendAction):
        yield from (f"{option}={text}" for text in texts)
    else:
        yield f"{option}={','.join(texts)}"


def _text(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{where}: {value!r:.60} is neither text nor a number")
    return str(value)


def _placed(action: argparse.Action, text: str, folder: Path) -> str:
    """A path relative to the current folder, for a value that names a file or a folder; others unchanged."""
    if action.type is Path:
        return str(folder / text)
    if action.dest == "model":
        file, colon, rest = text.partition(":")
        return f"{folder / file}{colon}{rest}" if file.endswith(CODE) else text
    return str(folder / text) if action.dest in SOURCES and (folder / text).exists() else text
