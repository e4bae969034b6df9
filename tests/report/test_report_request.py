import pytest

from mocovit_deploy.errors import UsageError
from mocovit_deploy.report.request import ReportRequest


def test_the_folder_that_the_export_makes_need_not_be_there(tmp_path):
    ReportRequest(page=tmp_path / "out" / "page.html").require_writable(tmp_path / "out")


def test_what_could_not_be_written_is_refused_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        ReportRequest(card=tmp_path / "other" / "card.md").require_writable(tmp_path / "out")
    with pytest.raises(UsageError, match="is a folder"):
        ReportRequest(page=tmp_path).require_writable(tmp_path)
