import numpy as np
import pytest

from mocovit_deploy.parity.samples import CROPS, RANDOM_SAMPLES, preprocess, samples
from mocovit_deploy.spec import InputSpec, Preprocessing


def test_photographs_and_noise():
    names, inputs = samples(InputSpec(size=48, batch=2), seed=0)
    assert inputs.shape == (len(CROPS) + RANDOM_SAMPLES, 2, 3, 48, 48)
    assert inputs.dtype == np.float32
    assert len(set(names)) == len(names) == len(inputs)
    assert np.isfinite(inputs).all()
    flat = inputs.reshape(len(inputs), -1)
    assert (np.abs(flat[:, None] - flat[None]).max(-1) > 0.1).sum() == len(flat) * (len(flat) - 1), (
        "all differ"
    )
    assert not np.array_equal(inputs[0, 0], inputs[0, 1]), "the images of a batch differ"


def test_reproducible():
    assert np.array_equal(samples(InputSpec(size=32), 3)[1], samples(InputSpec(size=32), 3)[1])
    assert not np.array_equal(samples(InputSpec(size=32), 3)[1], samples(InputSpec(size=32), 4)[1])


@pytest.mark.parametrize(("channels", "count"), [(1, len(CROPS) + RANDOM_SAMPLES), (4, RANDOM_SAMPLES)])
def test_other_channel_counts(channels, count):
    assert samples(InputSpec(size=32, channels=channels), 0)[1].shape == (count, 1, channels, 32, 32)


def test_preprocess():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[..., 0] = 255  # red
    how = Preprocessing(scale=1 / 255, mean=(0.5, 0.0, 0.0), std=(0.25, 1.0, 1.0))
    assert np.allclose(preprocess(pixels, how)[:, 0, 0], [2, 0, 0])
    swapped = Preprocessing(scale=1 / 255, mean=(0.0,) * 3, std=(1.0,) * 3, colour_order="BGR")
    assert np.allclose(preprocess(pixels, swapped)[:, 0, 0], [0, 0, 1])
