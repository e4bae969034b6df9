"""Packages whose manifest leads out of them."""

from __future__ import annotations

import json

import pytest

from exporters.coreml.package import require_contained
from exporters.coreml.read import read_program
from mocovit_deploy.errors import UsageError


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "a.mlpackage"
    (folder / "Data" / "com.apple.CoreML").mkdir(parents=True)
    (folder / "Data" / "com.apple.CoreML" / "model.mlmodel").write_bytes(b"")
    (tmp_path / "outside.mlmodel").write_bytes(b"")

    def leading_to(path):
        document = {"itemInfoEntries": {"1": {"path": path}}, "rootModelIdentifier": "1"}
        (folder / "Manifest.json").write_text(json.dumps(document))
        return folder

    return leading_to


def test_a_package_that_keeps_to_itself(package):
    require_contained(package("com.apple.CoreML/model.mlmodel"))


@pytest.mark.parametrize(
    "path",
    [
        "../../outside.mlmodel",
        "/etc/passwd",
        "com.apple.CoreML/../../../outside.mlmodel",
        "none",
        "",
        3,
        "\x1b",
    ],
)
def test_a_package_that_does_not(package, path):
    with pytest.raises(ValueError, match="its manifest"):
        require_contained(package(path))


def test_a_link_out_of_it(package, tmp_path):
    folder = package("com.apple.CoreML/model.mlmodel")
    (folder / "Data" / "weights").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="is a link"):
        require_contained(folder)
    with pytest.raises(UsageError, match="is a link"):
        read_program(folder)
