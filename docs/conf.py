"""The documentation site: `make site` builds it into build/site."""

import re
from importlib import metadata
from typing import Any

project = "mocovit-deploy"
release = metadata.version("mocovit-deploy")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
# In docstrings, what stands between single backticks is code.
default_role = "code"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
highlight_language = "text"
html_theme = "furo"
html_title = f"mocovit-deploy {release}"
html_copy_source = False
html_show_copyright = False

ELSEWHERE = {"README": "index", "CHANGELOG": "changes", "CONTRIBUTING": "contributing"}
"""Links that lead out of this folder in the repository, and to a page of the site here."""


def setup(app: Any) -> None:
    app.connect("source-read", _with_pages_of_the_site)


def _with_pages_of_the_site(_app: Any, _name: str, source: list[str]) -> None:
    for outside, page in ELSEWHERE.items():
        source[0] = re.sub(rf"\]\(\.\./{outside}\.md(#[\w-]*)?\)", f"]({page}.md)", source[0])
