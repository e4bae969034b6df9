"""A rewrite that may cost too much accuracy: kept where the file passes with it in its own arithmetic."""

from __future__ import annotations

import pytest

pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")

from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.exporting import prove
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.parity.half import VARIABLE
from mocovit_deploy.spec import ExportRequest, InputSpec, ModelSpec
from mocovit_deploy.terminal.progress import Stages


def exported(folder, bias, monkeypatch, **options):
    monkeypatch.setenv(VARIABLE, "reference")
    model = ModelSpec("tiny_networks:silu", arguments=(("bias", str(bias)),), input=InputSpec(size=16))
    request = ExportRequest(model, ("tflite",), ("fp16",), output_dir=folder, **options)
    (outcome,) = export_model(request, Stages()).outcomes
    return outcome, [one["name"] for one in read_manifest(outcome.artifact.path).lowering]


def test_it_stays_where_the_file_passes(tmp_path, monkeypatch):
    outcome, names = exported(tmp_path, 0.0, monkeypatch)
    assert outcome.report.verdict == "pass"
    assert "silu_by_tanh" in names
    assert not outcome.notes


def test_it_is_left_out_where_the_file_fails_with_it(tmp_path, monkeypatch):
    """SiLU of -7 is -0.006, and 1 + tanh(-3.5) = 0.0018 is 4 steps of half precision."""
    outcome, names = exported(tmp_path, -7.0, monkeypatch)
    assert outcome.report.verdict == "pass"
    assert outcome.report.half is not None
    assert "silu_by_tanh" not in names
    (note,) = outcome.notes
    assert note.startswith("silu_by_tanh left out, with which it would be faster: fp16 arithmetic")
    assert str(tmp_path) not in note


def test_it_is_left_out_where_the_file_passes_without_room(tmp_path, monkeypatch):
    outcome, names = exported(tmp_path, -5.0, monkeypatch)
    assert "silu_by_tanh" not in names
    assert outcome.notes[0].endswith("then it is off by 5.1e-03 of its range, more than 5.0e-03")


def test_the_user_can_leave_it_out(tmp_path, monkeypatch):
    outcome, names = exported(tmp_path, 0.0, monkeypatch, without=("silu_by_tanh",))
    assert "silu_by_tanh" not in names
    assert not outcome.notes


def test_it_is_left_out_where_nothing_judges_it(tmp_path, monkeypatch):
    outcome, names = exported(tmp_path, 0.0, monkeypatch, verify=False)
    assert "silu_by_tanh" not in names
    assert "was not measured" in outcome.notes[0]
    monkeypatch.setattr(prove, "check_half", lambda *_: None)
    outcome, names = exported(tmp_path / "b", 0.0, monkeypatch)
    assert "silu_by_tanh" not in names
