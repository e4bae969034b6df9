"""Check the archive of an exported program before torch reads it.

`torch.export.load` is not safe for untrusted files, even with `weights_only`. torch 2.13

    unpickles and runs code   in constants called `opaque_obj_*` (tried: it runs)
    evaluates as Python       every "expr_str", through sympy.sympify (tried: it runs)
    loads shared libraries    from `data/aotinductor/`
    looks up any name         below torch that is a node's "target", such as `torch.os.system` and
                              `torch.ops.load_library`, and leaves objections to a later verifier
    imports any module        that a tree spec names as a default factory

So members, targets, expressions and tree specs are compared with those that `torch.export.save` writes for a
network, and anything else is refused. The file is still read in a child first (`models/probe.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mocovit_deploy.untrusted.read import LARGEST_DOCUMENT, parse_json
from mocovit_deploy.untrusted.zip import Damaged, open_stored_zip

_MEMBERS = re.compile(
    # torch 2.8 and newer, below a folder of the archive's name
    r"[^/]+/(models/[^/]+\.json|data/sample_inputs/[^/]+\.pt|data/weights/(weight_\d+|[^/]+_weights_config\.json)"
    r"|data/constants/(tensor_\d+|[^/]+_constants_config\.json)|extra/.*|archive_format|archive_version"
    r"|byteorder|version|\.data/(version|serialization_id)|\.format_version|\.storage_alignment)"
    # before
    r"|version|serialized_(exported_program\.json|(state_dict|constants|example_inputs)\.(pt|json))|extra_files/.*"
)
_PROGRAM = re.compile(r"[^/]+/models/[^/]+\.json|serialized_exported_program\.json")
_DOCUMENT = re.compile(r".*\.json")

_TARGET = re.compile(
    r"torch\.ops\.(aten|prim|prims|torchvision|quantized_decomposed|higher_order)\._?[a-z]\w*(\.\w+)?"
    r"|_operator\.[a-z]\w*|math\.[a-z]\w*|torch\.sym_\w+|torch\._sym_sqrt"
)
_UNSAFE_TARGETS = re.compile(
    r"torch\.ops\.aten\.(from_file|save|_print|_debug).*|_operator\.(methodcaller|attrgetter|itemgetter|call)"
)

_WORDS = (
    "Symbol",
    "Integer",
    "Float",
    "Rational",
    "Add",
    "Mul",
    "Pow",
    "Max",
    "Min",
    "Mod",
    "FloorDiv",
    "CeilDiv",
    "CleanDiv",
    "PythonMod",
    "ModularIndexing",
    "TruncToInt",
    "Equality",
    "Unequality",
    "StrictLessThan",
    "LessThan",
    "StrictGreaterThan",
    "GreaterThan",
    "Eq",
    "Ne",
    "Lt",
    "Le",
    "Gt",
    "Ge",
    "And",
    "Or",
    "Not",
    "positive",
    "negative",
    "nonnegative",
    "integer",
    "real",
    "finite",
    "True",
    "False",
    "true",
    "false",
)
_EXPRESSION = re.compile(
    rf"(?:\b(?:{'|'.join(_WORDS)}|[a-z]{{1,4}}\d+)\b|'\w{{1,40}}'|\d{{1,18}}|[-+*/%(),=<>!&|~ .])*"
)
_LONGEST_EXPRESSION = 2000

_IMPORTING = ("__enum__", "default_factory")
"""Words in the context of a container that name a module, which torch then imports."""

_CONTAINERS = (
    None,
    "builtins.tuple",
    "builtins.list",
    "builtins.dict",
    "collections.OrderedDict",
    "collections.deque",
    "collections.namedtuple",
    "torch.fx.immutable_collections.immutable_list",
    "torch.fx.immutable_collections.immutable_dict",
)


def require_plain_program(path: Path) -> None:
    """Raise `Damaged` unless the archive at `path` holds a program and nothing that could run code."""
    with open_stored_zip(path) as archive:
        names = archive.namelist()
        for name in names:
            if not _MEMBERS.fullmatch(name):
                raise Damaged(f"it holds {name[:80]!r}, which a program of plain tensors does not have")
        if not any(map(_PROGRAM.fullmatch, names)):
            raise Damaged("it holds no program")
        for name in filter(_DOCUMENT.fullmatch, names):
            if archive.getinfo(name).file_size > LARGEST_DOCUMENT:
                raise Damaged(f"{name} is larger than {LARGEST_DOCUMENT:,} bytes")
            _require_plain(parse_json(archive.read(name)), name)


def _require_plain(document: Any, where: str) -> None:
    for key, value in _members(document):
        problem = _CHECKS[key](value) if key in _CHECKS else None
        if problem:
            raise Damaged(f"{where}: {key} {str(value)[:80]!r} {problem}")


def _members(document: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a JSON document with its value, at any depth."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            yield from value.items()
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _target(value: Any) -> str | None:
    # Signatures have targets, too: names of parameters and buffers, which torch does not look up.
    if not isinstance(value, str) or not value.startswith(("torch", "_operator", "math", "#")):
        return None
    if _TARGET.fullmatch(value) and not _UNSAFE_TARGETS.fullmatch(value):
        return None
    return "is not an operator of a network"


def _expression(value: Any) -> str | None:
    plain = isinstance(value, str) and len(value) <= _LONGEST_EXPRESSION and "**" not in value
    return None if plain and _EXPRESSION.fullmatch(value) else "is not plain arithmetic"


def _tree_spec(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        return "is not a tree of containers"
    for key, member in _members(parse_json(value.encode())):
        if (key == "type" and member not in _CONTAINERS) or key == "__enum__":
            return "is not a tree of lists, tuples and dictionaries"
        if key == "context" and isinstance(member, str) and any(word in member for word in _IMPORTING):
            return "is not a tree of lists, tuples and dictionaries"
    return None


def _pickled(value: Any) -> str | None:
    return "asks for unpickling" if value else None


_CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "target": _target,
    "expr_str": _expression,
    "in_spec": _tree_spec,
    "out_spec": _tree_spec,
    "use_pickle": _pickled,
}
