import numpy as np
import pytest
import torch
from torch import nn

from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.inputs import Inputs
from mocovit_deploy.models.pixels import taking_pixels
from mocovit_deploy.parity.samples import preprocess
from mocovit_deploy.spec import InputSpec, Preprocessing

COLOURS = Preprocessing(scale=1 / 128, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
BGR = Preprocessing(colour_order="BGR", assumed=("scale",))


@pytest.mark.parametrize(("how", "channels"), [(COLOURS, 3), (BGR, 3), (COLOURS, 1)])
def test_pixels_give_what_the_prepared_image_gives(how, channels):
    network = nn.Conv2d(channels, 4, 3, padding=1)
    module, inputs = taking_pixels(network, Inputs(InputSpec(8, channels, preprocessing=how), None), "net")
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, channels), np.uint8)
    pixels = torch.from_numpy(picture.transpose(2, 0, 1))[None]
    with torch.no_grad():
        expected = network(torch.from_numpy(preprocess(picture, how))[None])
        assert torch.allclose(module(pixels), expected, atol=1e-5)
    assert inputs.image.dtype == "uint8"
    assert inputs.image.preprocessing.built_in == how
    assert not inputs.image.preprocessing.assumed


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (Inputs(InputSpec(8), (torch.zeros(1, 4),)), "does not take one image"),
        (Inputs(InputSpec(8, dtype="uint8"), None), "uint8 pixels already"),
        (Inputs(InputSpec(8, channels=4), None), "images of 4 channels"),
        (Inputs(InputSpec(8, preprocessing=Preprocessing(mean=(0.5,))), None), "have 1 and 3"),
    ],
)
def test_refused_by_name(inputs, why):
    with pytest.raises(UsageError, match=f"^--normalize: net .*{why}"):
        taking_pixels(nn.Identity(), inputs, "net")
