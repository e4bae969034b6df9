"""`--features`: the maps of a backbone are those inside the whole network, at the strides asked for."""

import argparse
import importlib.util
from dataclasses import replace

import pytest
import torch

from mocovit_deploy.cli.option_value import strides
from mocovit_deploy.cli.parsers import export_parser
from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.load import load_network
from mocovit_deploy.models.mocovit_network import STRIDES, MoCoViT, MoCoViTConfig, MoCoViTMaps
from mocovit_deploy.spec import ModelSpec, OwnInput

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
SMALL = OwnInput(size=64)


def maps_inside(network, places, image):
    """What the modules at `places` of a network give."""
    found = {}
    hooks = [
        network.get_submodule(place).register_forward_hook(
            lambda _module, _given, made, place=place: found.update({place: made})
        )
        for place in places
    ]
    with torch.no_grad():
        network(image)
    for hook in hooks:
        hook.remove()
    return [found[place] for place in places]


def test_maps_of_mocovit_are_those_inside_the_whole_network():
    image = torch.randn(2, 3, 64, 64)
    whole = load_network(ModelSpec("mocovit_0_5", input=SMALL))
    cut = load_network(ModelSpec("mocovit_0_5", input=SMALL, features=(8, 16, 32)))
    assert cut.output_names == ("stride_8", "stride_16", "stride_32")
    assert cut.stem == "mocovit_0_5_features_8_16_32_64"
    inside = maps_inside(whole.module, ("blocks.4", "blocks.10", "blocks.15"), image)
    with torch.no_grad():
        given = cut.module(image)
    for stride, map_inside in zip((8, 16, 32), inside, strict=True):
        assert torch.equal(given[f"stride_{stride}"], map_inside)
        assert map_inside.shape[2:] == (64 // stride, 64 // stride)


def test_blocks_that_no_map_needs_are_left_out():
    maps = MoCoViTMaps(MoCoViT(MoCoViTConfig(width=0.5)), (4, 16))
    assert len(maps.blocks) == 11
    assert maps.channels == (12, 56)


@pytest.mark.parametrize("stride", STRIDES)
def test_every_stride_of_mocovit(stride):
    network = MoCoViT(MoCoViTConfig(width=0.5))
    maps = MoCoViTMaps(network, (stride,))
    (found,) = maps.eval()(torch.randn(1, 3, 64, 64))
    assert found.shape == (1, *maps.channels, 64 // stride, 64 // stride)


def test_a_checkpoint_of_the_whole_network_fits(tmp_path):
    trained = load_network(ModelSpec("mocovit_0_5", input=SMALL, seed=7, num_classes=3))
    torch.save(trained.module.state_dict(), tmp_path / "own.pt")
    spec = ModelSpec("mocovit_0_5", checkpoint=tmp_path / "own.pt", features=(8,), input=SMALL)
    with pytest.raises(UsageError, match="of another shape"):
        load_network(spec)  # 1000 classes: a checkpoint of 3 is not this network's
    spec = replace(spec, num_classes=3)
    image = torch.randn(1, 3, 64, 64)
    (inside,) = maps_inside(trained.module, ("blocks.4",), image)
    with torch.no_grad():
        assert torch.equal(load_network(spec).module(image)["stride_8"], inside)


@needs_timm
@pytest.mark.parametrize("name", ["ghostnet_050", "mobilenetv3_small_050", "test_vit"])
def test_maps_of_timm_are_those_inside_the_whole_network(name):
    image_size = None if name == "test_vit" else 64
    wanted = (16,) if name == "test_vit" else (8, 16)
    options = {"name": f"timm/{name}", "input": OwnInput(size=image_size)}
    whole = load_network(ModelSpec(**options))
    cut = load_network(ModelSpec(**options, features=wanted))
    (image,) = whole.inputs.for_capture(0, free_batch=False)
    with torch.no_grad():
        _, inside = whole.module.forward_intermediates(image)
        given = cut.module(image)
    last = {image.shape[-1] // one.shape[-1]: one for one in inside}
    for stride in wanted:
        assert torch.allclose(given[f"stride_{stride}"], last[stride], atol=1e-5)


@needs_timm
@pytest.mark.slow
def test_maps_that_timm_gives_channels_last_are_turned():
    network = load_network(ModelSpec("timm/swin_tiny_patch4_window7_224", features=(8,)))
    (image,) = network.inputs.for_capture(0, free_batch=False)
    assert network.module(image)["stride_8"].shape == (1, 192, 28, 28)


@pytest.mark.parametrize(
    ("name", "wanted", "message"),
    [
        ("mocovit_0_5", (8, 64), "mocovit_0_5 has no map at stride 64; it has maps at 2, 4, 8, 16, 32"),
        ("tiny_networks:tiny", (8,), r'not for tiny_networks:tiny; .* return \{"stride_8": x'),
        pytest.param(
            "timm/test_vit",
            (8, 16),
            "timm/test_vit has no map at stride 8; it has maps at 16",
            marks=needs_timm,
        ),
    ],
)
def test_what_cannot_be_had_is_refused(name, wanted, message):
    with pytest.raises(UsageError, match=message) as caught:
        load_network(ModelSpec(name, features=wanted))
    assert str(caught.value).startswith("--features: ")


@needs_timm
def test_a_network_that_timm_gives_no_maps_of_is_refused(monkeypatch):
    from mocovit_deploy.models import timm as source

    created = source.import_timm().create_model

    def without_maps(*given, **options):
        if options.get("features_only"):
            raise RuntimeError("features_only not implemented")
        return created(*given, **options)

    monkeypatch.setattr(source.import_timm(), "create_model", without_maps)
    with pytest.raises(
        UsageError, match="--features: timm .* gives no maps of .*features_only not implemented"
    ):
        load_network(ModelSpec("timm/test_efficientnet", features=(8,)))


@needs_timm
def test_a_backbone_without_maps_says_nothing_of_options_not_given(monkeypatch):
    from mocovit_deploy.models import backbones
    from mocovit_deploy.models import timm as source

    def without_maps(*_, **__):
        raise RuntimeError("features_only not implemented")

    monkeypatch.setattr(source.import_timm(), "create_model", without_maps)
    with pytest.raises(UsageError, match="backbone ghostnet_1_0: timm .* gives no maps") as caught:
        backbones.backbone_named("ghostnet_1_0")
    assert "--features" not in str(caught.value)


@needs_timm
def test_weights_that_do_not_fit_are_refused():
    from mocovit_deploy.models import timm as source

    backbone, network = torch.nn.Sequential(torch.nn.Linear(2, 2)), torch.nn.Sequential(torch.nn.Linear(2, 3))
    with pytest.raises(UsageError, match=r"a network has other weights as a backbone \(0.weight\)"):
        source._take_weights("a network", backbone, network)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [([], ()), (["--features"], (8, 16, 32)), (["--features", "32,4"], (4, 32))],
)
def test_words(words, wanted):
    assert export_parser().parse_args(words).features == wanted


@pytest.mark.parametrize("text", ["8,8", "3", "0", "eight", ","])
def test_words_that_are_no_strides(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is not a|is an empty list"):
        strides(text)
