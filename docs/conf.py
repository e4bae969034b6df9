"""The documentation site: `make site` builds it into build/site."""

import re
from importlib import metadata
from typing import Any

project = "mocovit-deploy"
release = metadata.version("mocovit-deploy")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3
# In docstrings, text between single backticks is code.
default_role = "code"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
highlight_language = "text"
html_theme = "furo"
html_title = f"mocovit-deploy {release}"
html_copy_source = False
html_show_copyright = False

ELSEWHERE = {"README": "index", "CHANGELOG": "changes", "CONTRIBUTING": "contributing"}
"""By the name of a Markdown file beside this folder: the page of the site that contains it."""


def setup(app: Any) -> None:
    """Called by Sphinx: rewrite the links of each page before it is parsed."""
    app.connect("source-read", _with_pages_of_the_site)


def _with_pages_of_the_site(_app: Any, _name: str, source: list[str]) -> None:
    """Turn links to ../README.md and its like into links to pages. Sphinx passes the text as `source[0]`."""
    for outside, page in ELSEWHERE.items():
        source[0] = re.sub(rf"\]\(\.\./{outside}\.md(#[\w-]*)?\)", f"]({page}.md)", source[0])
