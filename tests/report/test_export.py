"""The page and the card of an export: the conclusion follows its rule, and no name becomes markup."""

import dataclasses
import re

import pytest
from pages import require_whole_page

from mocovit_deploy.artifacts.readiness import Obstacle, Readiness
from mocovit_deploy.report.card import model_card
from mocovit_deploy.report.choice import caveats_of, choices_of
from mocovit_deploy.report.curves import Curve
from mocovit_deploy.report.export import export_page
from mocovit_deploy.report.facts import (
    AccuracyFacts,
    BlockFacts,
    Cost,
    ExportFacts,
    FileFacts,
    LayerFacts,
    Rewriting,
)
from mocovit_deploy.report.words import accuracy_row

EVIL = "<script>alert(1)</script>\"' onload=x | # *b* \x00\x1b[2J\n\u202e"
FOLD = Rewriting(name="fold", changes=(("a.b", "folded"),), error=3e-16, refusals=(("c", "shared"),))
OUTSIDE = Obstacle(kind="ERF", where="head", why="is not known", source="rules.cc")


def file(recipe="fp32", size_mb=20, max_error=1e-6, **changes):
    made = FileFacts(
        name=f"net_{recipe}.tflite",
        format="tflite",
        recipe=recipe,
        verdict="pass",
        reason="within the tolerance",
        size_bytes=int(size_mb * 1e6),
        sha256="a" * 64,
        runtime="litert 2.3.0",
        arithmetic="fp32",
        max_error=max_error,
        sqnr_db=120.0,
        top1=1.0,
        tolerance=1e-5,
        samples=8,
    )
    return dataclasses.replace(made, **changes)


def facts(*files, **changes):
    made = ExportFacts(
        model="net",
        weights="net.safetensors",
        trained=True,
        inputs="image 1x224x224x3 float32 nhwc",
        preprocessing="pixels",
        passes=(FOLD,),
        operations=({"convolution": 3, "batch_norm": 3}, {"convolution": 3}),
        blocks=(BlockFacts(block="blocks.0", parameters=10, macs=200),),
        files=files,
        seconds={"capture": 2.0},
        conditions={"date": "2026-11-26", "commit": "0123456789"},
    )
    return dataclasses.replace(made, **changes)


def full(**changes):
    """A file of which everything is known."""
    return file(
        rewrites=(FOLD,),
        execution="one piece",
        operators={"CONV_2D": 3},
        weights_by_block={"blocks.0": 3000},
        readiness=(Readiness(delegate="GPU", operators=3, outside=(OUTSIDE,), remarks=(OUTSIDE,)),),
        layers=LayerFacts(curve=Curve("tflite fp32", (1e-7, None), 1e-5), modules=("a", "b"), reason="told"),
        accuracy=accuracy(0.4),
        cost=Cost(target="emulated", runtime="litert", instructions=1_000_000, modelled_ms=7.12),
        candidates=(("recipe", "size"), ("fp32", "1 MB")),
        why_chosen="it is fast",
        notes=("a note",),
        flips=("a flip",),
        not_run="fp16 arithmetic",
        **changes,
    )


def accuracy(high_points):
    return AccuracyFacts(
        images=100,
        right=0.9,
        original_right=0.9,
        drop_points=0.0,
        low_points=-0.1,
        high_points=high_points,
        agreement=1.0,
    )


def test_accuracy_is_counted_and_no_finer_than_it_is_known():
    row = accuracy_row(file("fp16", accuracy=accuracy(0.4)))
    assert row[1:] == ("90 of 100, 90 %", "90 of 100, 90 %", "0", "-0.10 to +0.40", "100 of 100")


def spoilt(value):
    """The same data with every text replaced."""
    if isinstance(value, str):
        return EVIL
    if isinstance(value, dict):
        return {f"{EVIL}{n}": spoilt(one) for n, one in enumerate(value.values())}
    if isinstance(value, tuple):
        return tuple(map(spoilt, value))
    if dataclasses.is_dataclass(value):
        fields = {field.name: spoilt(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value


def test_a_page_of_everything_is_whole():
    text = export_page(facts(full(), file("fp16", max_error=None), said={"author": "me"}, notes=("careful",)))
    require_whole_page(text)
    for anchor in ("files", "accuracy", "time", "layers", "rewrites", "sizes", "operators", "delegates"):
        assert f'<section id="{anchor}">' in text
    assert text.index("Android: ") < text.index("<section")
    assert "7.1 ms modelled" in text


def test_no_name_becomes_markup():
    given = spoilt(facts(full(), file("fp16"), said={"author": "me"}, labels=("cat",), notes=("careful",)))
    text = export_page(given)
    require_whole_page(text)
    assert "<script" not in text
    card = model_card(given)
    assert not re.search(r"(?<!\\)<", card)
    for written in (text, card):
        assert not set("\x00\x1b\u202e") & set(written)


def test_rows_of_a_card_are_rows():
    card = model_card(spoilt(facts(full())))
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in card.splitlines() if line.startswith("|")]
    assert set(widths) == {3, 7, 9}


def test_nothing_but_failures():
    broken = file(name="", verdict="not run", reason="no such operator", error="cannot be written")
    text = export_page(facts(broken, blocks=(), passes=(), seconds={}))
    require_whole_page(text)
    assert "Android: no file.</b> Take none. fp32: cannot be written." in text
    assert "no file" in model_card(facts(broken))


COST = {"fp32": 11.6, "fp16": 6.8}


@pytest.mark.parametrize(
    ("files", "taken", "why"),
    [
        ([file("fp32", 20), file("int8", 5, 1e-2)], "int8", "The smallest of 2 (5.0 MB)"),
        (
            [file("fp32", 20), file("fp16", 20, 1e-3)],
            "fp32",
            "Both are of one size (20.0 MB), and this one is the nearest",
        ),
        (
            [file("fp32", 20), file("int8", 5, verdict="fail", error="off")],
            "fp32",
            "The only one that passed",
        ),
        ([file("fp32", 20), file("int8", 5, random_ranges=True)], "fp32", "The only one that passed"),
        (
            [file(one, 20, cost=Cost(target="emulated", modelled_ms=ms)) for one, ms in COST.items()],
            "fp16",
            "The fastest of 2 (6.8 ms modelled, not measured)",
        ),
        (
            [file("fp32", accuracy=accuracy(0.2)), file("int8", 5, accuracy=accuracy(3.0))],
            "fp32",
            "The only one of them; loses at most 0.5 points",
        ),
        (
            [file("fp32", accuracy=accuracy(1.2)), file("int8", 5, accuracy=accuracy(3.0))],
            "fp32",
            "100 images show of no file that it loses at most 0.5 points; this one may lose 1.2",
        ),
        (
            [file("fp32", accuracy=accuracy(1.2)), file("int8", 5, accuracy=accuracy(1.2))],
            "int8",
            "The smallest of 2 (5.0 MB); 100 images show of no file",
        ),
        ([file("fp16", not_run="fp16 arithmetic")], "fp16", "fp16 arithmetic was not run"),
    ],
)
def test_the_file_to_take(files, taken, why):
    (choice,) = choices_of(facts(*files))
    assert choice.platform == "Android"
    assert choice.file is not None
    assert choice.file.recipe == taken
    assert why in choice.why


def test_random_weights_and_missing_measurements_are_said():
    said = " ".join(caveats_of(facts(file(), trained=False, weights="random, seed 0")))
    assert "what the files predict is not" in said
    assert "Nothing was timed" in said
    assert "Accuracy was not measured" in " ".join(caveats_of(facts(file())))
