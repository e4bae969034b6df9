from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

from exporters.coreml.semantics import SEMANTICS

SOURCES = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_coreml_*.py"))


@pytest.mark.parametrize("name", sorted(SEMANTICS))
def test_every_operation_is_built_by_a_test(name):
    assert re.search(rf'\bmb\.{name}\(|"{name}"', SOURCES), f"no test here builds {name}"


DOCUMENTED = re.findall(r"`([a-z0-9_*]+)`", (Path(__file__).parents[3] / "docs" / "coreml.md").read_text())


@pytest.mark.parametrize("name", sorted(SEMANTICS))
def test_every_operation_is_documented(name):
    assert any(fnmatch.fnmatchcase(name, pattern) for pattern in DOCUMENTED), f"docs/coreml.md lacks {name}"


def test_no_operation_is_listed_twice():
    from exporters.coreml import semantics

    modules = [getattr(semantics, name) for name in dir(semantics)]
    listed = [name for module in modules for name, _ in getattr(module, "OPERATIONS", ())]
    assert sorted(listed) == sorted(SEMANTICS)
