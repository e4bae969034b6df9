"""Every network of the trial that went wrong."""

import pytest
from campaign import networks
from campaign.found import FOUND


@pytest.mark.slow
@pytest.mark.parametrize("found", FOUND, ids=lambda one: one.case.key)
def test_what_was_wrong_is_right(found, tmp_path):
    row = networks.tried(found.case, tmp_path / "case", found.formats)
    assert row["wrong"] == []
    assert not any("in the numpy reference" in one["why"] for one in row["files"] if one["verdict"] != "pass")
    assert {one["format"] for one in row["files"]} == set(found.formats)
