"""Exported programs of strangers: nothing in them is executed, and what torch itself writes is read."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from hostile import crafted_weights, seeds
from hostile.crafted import zipped

from mocovit_deploy.errors import ConversionError, UsageError
from mocovit_deploy.models import program
from mocovit_deploy.models.archive import require_plain_program
from mocovit_deploy.models.probe import probe_in_child
from mocovit_deploy.spec import ModelSpec
from mocovit_deploy.untrusted.zip import Damaged

PROGRAMS = [seeds.program(free_batch=False), seeds.program(free_batch=True)]
CRAFTED = {what: files for files in PROGRAMS for what, files in crafted_weights.for_program(files)}


@pytest.fixture
def case(tmp_path, monkeypatch):
    (tmp_path / "case").mkdir()
    monkeypatch.chdir(tmp_path / "case")
    return tmp_path / "case"


@pytest.mark.parametrize("files", PROGRAMS, ids=["static", "free batch"])
def test_programs_of_torch_are_read(files, case):
    (case / "seed.pt2").write_bytes(files["seed.pt2"])
    require_plain_program(case / "seed.pt2")
    probe_in_child("seed.pt2", None, prefer_ema=False)


@pytest.mark.parametrize("what", CRAFTED)
def test_crafted_programs_run_nothing(what, case):
    (case / "seed.pt2").write_bytes(CRAFTED[what]["seed.pt2"])
    with pytest.raises(UsageError, match="--unsafe-pickle"):
        program.build(ModelSpec("seed.pt2"))
    assert [path.name for path in case.parent.iterdir()] == ["case"]
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("what", ["an opaque constant", "an expression that is code"])
def test_torch_alone_would_have_run_them(what, case, monkeypatch):
    """The reason for looking first. Should this fail one day, torch has become safer: look again."""
    (case / "seed.pt2").write_bytes(CRAFTED[what]["seed.pt2"])
    monkeypatch.setattr(program, "require_plain_program", lambda _path: None)
    with pytest.raises(UsageError):
        program.build(ModelSpec("seed.pt2"))
    assert (case.parent / "CANARY").exists()


@pytest.mark.parametrize(
    "expression",
    ["2*s0 + 1", "Symbol('s40', positive=True, integer=True)", "Max(1, Mod(s77, 2))", "(s0 // 2) >= 4", "u3"],
)
def test_shapes_are_plain_arithmetic(expression, case):
    write(case, {"expr_str": expression})
    require_plain_program(case / "a.pt2")


def test_private_operators_of_decomposed_programs_are_plain(case):
    write(case, {"nodes": [{"target": f"torch.ops.aten.{one}.default"} for one in ("_to_copy", "_softmax")]})
    require_plain_program(case / "a.pt2")


@pytest.mark.parametrize(
    "document",
    [
        {"expr_str": "exit()"},
        {"expr_str": "open(0)"},
        {"expr_str": "s0.__class__"},
        {"expr_str": "Symbol('s0; x')"},
        {"expr_str": "9**9**9"},
        {"expr_str": ["s0"]},
        {"expr_str": "s0+" * 2000},
        {"target": "torch.load"},
        {"target": "torch.ops.load_library"},
        {"target": "torch.ops.aten.from_file.default"},
        {"target": "torch.ops.aten._print.default"},
        {"target": "torch.ops.aten.__class__"},
        {"target": "_operator.methodcaller"},
        {"target": "#registered"},
        {"in_spec": '[1, {"type": "a.B", "context": "[]", "children_spec": []}]'},
        {"out_spec": '[1, {"type": null, "context": {"__enum__": true, "fqn": "os:x"}}]'},
        {"use_pickle": True},
    ],
)
def test_anything_else_is_refused_wherever_it_stands(document, case):
    write(case, {"deep": [[{"in": document}]]})
    with pytest.raises(Damaged):
        require_plain_program(case / "a.pt2")


def write(case, document):
    (case / "a.pt2").write_bytes(zipped({"a/models/model.json": json.dumps(document).encode()}))


def test_a_program_that_does_not_run_is_said_in_one_line(case):
    class Asks(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.zeros(1 << 20, 1 << 22)

    exported = torch.export.export(Asks(), (torch.zeros(1),))
    torch.export.save(exported, case / "seed.pt2")
    with pytest.raises(ConversionError, match=r"seed\.pt2 does not run on its example inputs") as caught:
        probe_in_child("seed.pt2", None, prefer_ema=False)
    assert "\n" not in str(caught.value)
