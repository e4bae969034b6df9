import numpy as np
import pytest

from mocovit_deploy.accuracy.pictures import NoImageError, read_pixels
from mocovit_deploy.spec import InputSpec

image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")


@pytest.mark.parametrize("side", [223, 224, 225, 232, 239, 246, 448])
@pytest.mark.parametrize("input_size", [224, 192])
def test_a_square_picture_of_any_side_is_read(tmp_path, side, input_size):
    """The side divided by the input's and multiplied by it again can exceed the side."""
    path = tmp_path / "a.png"
    image.new("RGB", (side, side), (1, 2, 3)).save(path)
    assert read_pixels(path, InputSpec(size=input_size)).tolist() == [[[1, 2, 3]] * input_size] * input_size


def test_the_largest_centred_part_is_taken(tmp_path):
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, 8:16] = 200
    image.fromarray(pixels).save(tmp_path / "a.png")
    assert (read_pixels(tmp_path / "a.png", InputSpec(size=8)) == 200).all()


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(NoImageError, match="not an image"):
        read_pixels(tmp_path / "a.png", InputSpec(size=8))
