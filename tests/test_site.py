"""The documentation site builds without a warning, and its links lead somewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return folder


class _Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, _tag, attributes):
        given = dict(attributes)
        self.anchors.add(given.get("id"))
        self.links += [given[name] for name in ("href", "src") if given.get(name)]


def test_every_link_inside_leads_to_a_page_and_a_place_on_it(site):
    pages = {path: _Page(path.read_text()) for path in site.rglob("*.html")}
    assert len(pages) > 30
    astray = []
    for path, page in pages.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:|//", link):
                continue
            found = (path.parent / target.partition("?")[0]).resolve() if target else path
            if not found.exists() or (anchor and found in pages and anchor not in pages[found].anchors):
                astray.append(f"{path.relative_to(site)}: {link}")
    assert astray == []


def test_every_page_is_in_the_menu_and_the_functions_have_their_words(site):
    menu = (site / "index.html").read_text()
    assert [path.stem for path in (ROOT / "docs").glob("*.md") if f"{path.stem}.html" not in menu] == []
    api = (site / "api.html").read_text()
    assert all(f"mocovit_deploy.{name}" in api for name in ("export", "check", "measure", "reparameterize"))
