from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporters.coreml.semantics import SEMANTICS

SOURCES = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_coreml_*.py"))


@pytest.mark.parametrize("name", sorted(SEMANTICS))
def test_every_operation_is_built_by_a_test(name):
    assert re.search(rf'\bmb\.{name}\(|"{name}"', SOURCES), f"no test here builds {name}"


def test_no_operation_is_listed_twice():
    from exporters.coreml import semantics

    modules = [getattr(semantics, name) for name in dir(semantics)]
    listed = [name for module in modules for name, _ in getattr(module, "OPERATIONS", ())]
    assert sorted(listed) == sorted(SEMANTICS)
