import numpy as np
import pytest
from PIL import Image

from mocovit_deploy.accuracy import folder as folder_module
from mocovit_deploy.accuracy.folder import KnownClasses
from mocovit_deploy.accuracy.labelled import read_labelled
from mocovit_deploy.errors import UsageError
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.spec import InputSpec

IMAGE = InputSpec(size=4)
NAMES = KnownClasses(3, ("dog", "cat", "cow"))


def save(path, colour=(10, 20, 30), size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def photographs(tmp_path):
    for number in range(4):
        save(tmp_path / "cat" / f"{number}.png", (number, 0, 0))
        save(tmp_path / "dog" / "deeper" / f"{number}.png", (0, number, 0))
    return tmp_path


def test_folders_are_classes_by_their_labels(photographs):
    found = read_labelled(str(photographs), IMAGE, None, NAMES)
    assert found.labels.tolist() == [1] * 4 + [0] * 4
    assert found.names[0] == str(photographs / "cat" / "0.png")
    how = IMAGE.preprocessing
    wanted = preprocess(np.full((4, 4, 3), (0, 3, 0), np.uint8), how)
    assert np.array_equal(found.tensors(how)(7, 8), wanted[np.newaxis])


def test_sorted_folders_are_the_classes_where_nobody_named_them(photographs):
    assert read_labelled(str(photographs), IMAGE, None, KnownClasses(2)).labels.tolist() == [0] * 4 + [1] * 4


def test_whole_numbers_are_the_classes_themselves(tmp_path):
    save(tmp_path / "07" / "a.png")
    save(tmp_path / "2" / "a.png")
    assert read_labelled(str(tmp_path), IMAGE, None, KnownClasses(10)).labels.tolist() == [7, 2]


def test_whole_numbers_that_are_labels_are_names(tmp_path):
    save(tmp_path / "1" / "a.png")
    save(tmp_path / "7" / "a.png")
    found = read_labelled(str(tmp_path), IMAGE, None, KnownClasses(2, ("7", "1")))
    assert found.labels.tolist() == [1, 0]


def test_some_are_evenly_chosen(photographs):
    found = read_labelled(str(photographs), IMAGE, 4, NAMES)
    assert found.labels.tolist() == [1, 1, 0, 0]


def test_files_that_are_no_images_are_left_out_and_said(photographs):
    (photographs / "cat" / "0.png").write_bytes(b"no image")
    found = read_labelled(str(photographs), IMAGE, None, NAMES)
    assert len(found.labels) == 7
    assert "0.png (not an image" in found.notes[0]


def test_a_file_that_goes_while_it_is_read_is_named(photographs):
    found = read_labelled(str(photographs), IMAGE, None, NAMES)
    (photographs / "cat" / "1.png").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"1\.png: not an image"):
        found.tensors(IMAGE.preprocessing)(0, 4)


def test_folders_that_are_no_classes_are_refused(photographs, tmp_path_factory):
    for known, why in (
        (KnownClasses(3), "2 folders for 3 classes; export with --labels"),
        (
            KnownClasses(2, ("dog", "kitten")),
            "cat is not a class of the network, whose labels begin with dog",
        ),
    ):
        with pytest.raises(UsageError, match=why):
            read_labelled(str(photographs), IMAGE, None, known)
    with pytest.raises(UsageError, match="holds only 8 of 9 images"):
        read_labelled(str(photographs), IMAGE, 9, NAMES)
    flat = tmp_path_factory.mktemp("flat")
    with pytest.raises(UsageError, match="holds no files"):
        read_labelled(str(flat), IMAGE, None, NAMES)
    save(flat / "a.png")
    with pytest.raises(UsageError, match="one folder of images for each class"):
        read_labelled(str(flat), IMAGE, None, NAMES)
    (flat / "a.png").rename(flat / "b.txt")
    (flat / "cat").mkdir()
    (flat / "cat" / "a.png").write_bytes(b"")
    with pytest.raises(UsageError, match="none of its 1 files is an image"):
        read_labelled(str(flat), IMAGE, None, NAMES)


def test_many_that_were_left_out_are_counted(photographs):
    for number in range(folder_module.SHOWN + 2):
        (photographs / "cat" / f"bad{number}.png").write_bytes(b"")
    assert read_labelled(str(photographs), IMAGE, None, NAMES).notes[0].endswith("and 2 more")
