"""--report and --card: what is refused before the work, and that leaving them out costs nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mocovit_deploy.errors import UsageError
from mocovit_deploy.report.request import ReportRequest


def test_the_folder_that_the_export_makes_need_not_be_there(tmp_path):
    ReportRequest(page=tmp_path / "out" / "page.html").require_writable(tmp_path / "out")


def test_what_could_not_be_written_is_refused_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="does not exist; create it first"):
        ReportRequest(card=tmp_path / "other" / "card.md").require_writable(tmp_path / "out")
    with pytest.raises(UsageError, match="is a folder"):
        ReportRequest(page=tmp_path).require_writable(tmp_path)


ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "helpers" / "tiny_networks.py"
HEAVY = {f"mocovit_deploy.{name}" for name in ("cli.report", "cli.layers", "report.export")}
LOADED = """
import sys
from mocovit_deploy.cli.main import export_main
status = export_main()
sys.stderr.write("loaded " + " ".join(sys.modules))
sys.exit(status)
"""


@pytest.mark.slow
def test_an_export_without_a_report_pays_nothing_for_it(tmp_path):
    """Neither the page nor what looks into layers is so much as imported."""
    words = ["--model", f"{TINY}:tiny", "--image-size", "32", "--format", "onnx", "--output-dir", "out"]
    for report, wanted in (([], set()), (["--report", "page.html"], HEAVY)):
        done = subprocess.run(
            [sys.executable, "-c", LOADED, *words, *report],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        loaded = set(done.stderr.rpartition("loaded ")[2].split())
        assert loaded & HEAVY == wanted
