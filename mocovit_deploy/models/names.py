"""Names of a network's inputs and outputs in files.

    inputs     the user's names; else the source's; else the parameters of `forward`
    outputs    the user's names; else the keys of a dictionary or the fields of a named tuple, joined by "_"
               if they are nested; else `logits` for the (batch, classes) of an image classifier, `output` for
               any other single tensor, `output_0`, `output_1`, ... for several

Names are different words of letters, digits and underscores, which all formats take.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from mocovit_deploy.errors import UsageError

Path = tuple[str | int, ...]
"""Keys, fields and positions that lead from a forward's arguments or result to one tensor in it."""


def parameters_of(forward: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a forward's positional parameters; empty if it takes any number of them."""
    schema = getattr(forward, "schema", None)
    if schema is not None:  # a ScriptModule, whose first argument is the module itself
        return tuple(argument.name for argument in schema.arguments[1:])
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(forward).parameters.values()
    return tuple(parameter.name for parameter in parameters if parameter.kind in kinds)


def name_inputs(
    asked: Sequence[str], declared: Sequence[str], parameters: Sequence[str], paths: Sequence[Path]
) -> tuple[str, ...]:
    """One name for each input tensor.

    `asked` are the user's names, `declared` the source's, `parameters` those of forward; `paths` begin with
    the position of the argument. Raises `UsageError` if `asked` does not fit.

    >>> name_inputs((), (), ("image", "sizes"), [(0,), (1, 0), (1, 1)])
    ('image', 'sizes_0', 'sizes_1')
    """
    if asked:
        return _checked(asked, len(paths), "input")
    if len(declared) == len(paths):
        return tuple(declared)

    def name(path: Path) -> str:
        position, *rest = path
        assert isinstance(position, int)
        known = position < len(parameters)
        argument = parameters[position] if known else "input" if len(paths) == 1 else f"input_{position}"
        if rest and isinstance(rest[0], str):  # keys of a dictionary say more than the dictionary's name
            return _word(rest, "input")
        return _word([argument, *rest], "input")

    return _distinct([name(path) for path in paths], (), "input")


def name_outputs(
    asked: Sequence[str], paths: Sequence[Path], *, classifier: bool, inputs: Sequence[str]
) -> tuple[str, ...]:
    """One name for each output tensor, different from the `inputs`; a `classifier`'s single one is `logits`.

    Raises `UsageError` if `asked` does not fit.

    >>> name_outputs((), [()], classifier=True, inputs=("image",))
    ('logits',)
    >>> name_outputs((), [("boxes",), ("heads", 0)], classifier=False, inputs=("image",))
    ('boxes', 'heads_0')
    """
    if asked:
        names = _checked(asked, len(paths), "output")
        if common := set(names) & set(inputs):
            raise UsageError(
                f"--output-names: {', '.join(sorted(common))} is an input's name; choose another"
            )
        return names
    if list(paths) == [()]:
        return _distinct(["logits" if classifier else "output"], inputs, "output")
    return _distinct([_word(path, "output") for path in paths], inputs, "output")


def _word(path: Sequence[str | int], what: str) -> str:
    """A path as one word: "boxes", "head_0", "output_1"."""
    joined = re.sub(r"\W+", "_", "_".join(map(str, path)), flags=re.ASCII).strip("_")
    return joined if joined and not joined[0].isdigit() else f"{what}_{joined}".rstrip("_")


def _distinct(names: Sequence[str], taken: Sequence[str], what: str) -> tuple[str, ...]:
    """`names`, with "_output" or a number appended to those that are taken or occur twice."""
    used = set(taken)
    result = []
    for name in names:
        candidates = (name, f"{name}_{what}", *(f"{name}_{i}" for i in range(2, len(names) + 3)))
        fresh = next(candidate for candidate in candidates if candidate not in used)
        used.add(fresh)
        result.append(fresh)
    return tuple(result)


def _checked(asked: Sequence[str], count: int, what: str) -> tuple[str, ...]:
    option = f"--{what}-names"
    if len(asked) != count:
        raise UsageError(f"{option} {','.join(asked)}: {len(asked)} names for {count} {what}s")
    for name in asked:
        if not re.fullmatch(r"[A-Za-z_]\w*", name, flags=re.ASCII):
            raise UsageError(f"{option}: {name!r} is not a word of letters, digits and underscores")
    if len(set(asked)) != count:
        raise UsageError(f"{option} {','.join(asked)}: two {what}s cannot have the same name")
    return tuple(asked)
