"""Every network of the trial that went wrong."""

import pytest
from campaign import defects, networks
from campaign.found import FOUND, OF_TIMM, SPOILT


@pytest.mark.slow
@pytest.mark.parametrize("found", FOUND, ids=lambda one: one.case.key)
def test_what_was_wrong_is_right(found, tmp_path):
    row = networks.tried(found.case, tmp_path / "case", found.formats)
    assert row["wrong"] == []
    assert not any("in the numpy reference" in one["why"] for one in row["files"] if one["verdict"] != "pass")
    assert {one["format"] for one in row["files"]} == set(found.formats)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "formats"), [found[1:] for found in OF_TIMM])
def test_what_was_wrong_of_timm_is_right(name, size, formats, tmp_path):
    words = ("--model", f"timm/{name}", "--image-size", str(size))
    row = networks.tried(networks.Case(name, words, "timm", name, size), tmp_path / "case", formats)
    assert row["wrong"] == []
    assert [one["verdict"] for one in row["files"]] == ["pass"] * len(formats)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "form"), [found[1:] for found in SPOILT])
def test_what_was_planted_and_not_named_is_named(seed, form, tmp_path):
    case = networks.of_grammar(f"network-{seed}", seed, "network", "fp32", None)
    row = defects.tried(case, form, tmp_path / "case", seed=0, count=12)
    assert row["wrong"] == []
    assert sum(map(defects.beyond, row["planted"])) > 4
