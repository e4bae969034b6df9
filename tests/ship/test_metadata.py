import pytest

from mocovit_deploy.errors import UsageError
from mocovit_deploy.ship.metadata import FileMetadata, read_labels, require_fitting_labels
from mocovit_deploy.spec import Preprocessing, TensorSpec

FOLDER = object()
LOGITS = TensorSpec("logits", (1, 3), "float32")


def test_what_was_not_given_is_not_said():
    document = FileMetadata(model="m", recipe="fp32", weights="w", preprocessing=Preprocessing()).as_json()
    assert set(document) == {"schema_version", "model", "recipe", "weights", "preprocessing"}
    assert document["preprocessing"]["assumed"] == []


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"\xef\xbb\xbfcat\r\ndog", ("cat", "dog")),
        ("käse\nこ\n\n\n".encode(), ("käse", "こ")),
    ],
)
def test_label_files_as_editors_write_them(tmp_path, content, names):
    (tmp_path / "labels.txt").write_bytes(content)
    assert read_labels(tmp_path / "labels.txt") == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (FOLDER, "is a folder; name a text file, one label a line"),
        (b"", "holds no name"),
        (b"cat\n\ndog", "line 2 is empty"),
        (b"cat\n\x1b[2J", "line 2 is empty or holds unprintable characters"),
        (b"\xff\xfe\x00", "not a text file in UTF-8"),
        (b"x" * (5 << 20), "larger than"),
    ],
)
def test_label_files_that_are_none(tmp_path, content, message):
    path = tmp_path / "labels.txt"
    if content is FOLDER:
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_labels(path)


def test_labels_fit_the_one_classifier_output():
    require_fitting_labels((), ())
    require_fitting_labels(("a", "b", "c"), (LOGITS,))
    with pytest.raises(UsageError, match="2 names for the 3 classes of logits"):
        require_fitting_labels(("a", "b"), (LOGITS,))
    with pytest.raises(UsageError, match=r"needs one output \(batch, classes\)"):
        require_fitting_labels(("a", "b", "c"), (LOGITS, TensorSpec("aux", (1, 3), "float32")))
