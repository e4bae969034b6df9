"""Networks that take something else than one image, from their declaration to their files."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mocovit_deploy.artifacts.golden import read_golden
from mocovit_deploy.artifacts.manifest import read_manifest
from mocovit_deploy.choices import FORMATS
from mocovit_deploy.errors import ConversionError, UsageError
from mocovit_deploy.exporting.pipeline import export_model
from mocovit_deploy.formats import format_named
from mocovit_deploy.models.inputs import UNTOUCHED, Flattened, inputs_of
from mocovit_deploy.models.load import load_network
from mocovit_deploy.parity.samples import samples
from mocovit_deploy.spec import ASSUMED, PIXELS, ExportRequest, InputSpec, ModelSpec, OwnInput
from mocovit_deploy.terminal.progress import Stages

LIGHT = "light_networks"


class Given(nn.Module):
    """A network whose example inputs are what it is given."""

    def __init__(self, example_inputs):
        super().__init__()
        self.example_inputs = example_inputs

    def forward(self, x, y=None):
        return x


def test_one_image_unless_it_says_otherwise():
    _, inputs = inputs_of(nn.Conv2d(3, 4, 1), OwnInput(), InputSpec(size=48))
    assert inputs.example is None
    assert inputs.image == InputSpec(size=48)
    _, inputs = inputs_of(nn.Conv2d(3, 4, 1), OwnInput(size=64, batch=3), InputSpec(size=48))
    assert inputs.image.shape == (3, 3, 64, 64)


def test_an_example_of_one_square_image_is_an_image():
    for example in (
        torch.zeros(2, 1, 40, 40),
        (torch.zeros(2, 1, 40, 40),),
        {"x": torch.zeros(2, 1, 40, 40)},
    ):
        _, inputs = inputs_of(Given(example), OwnInput(), InputSpec())
        assert inputs.example is None
        assert inputs.image.shape == (2, 1, 40, 40)
        assert inputs.image.preprocessing == InputSpec().preprocessing


def test_an_example_of_one_oblong_image_is_an_image():
    _, inputs = inputs_of(Given(torch.zeros(1, 3, 24, 40)), OwnInput(), InputSpec())
    assert inputs.example is None
    assert inputs.image.sides == (24, 40)
    assert [array.shape for array in inputs.for_parity(0)[1]] == [(8, 1, 3, 24, 40)]
    assert inputs.for_random_calibration(0, 4)[0].shape == (4, 1, 3, 24, 40)
    assert inputs.for_statistics()[0][0].shape[2:] == (24, 40)
    with pytest.raises(UsageError, match="--image-size 24: the network's own example inputs are 1x3x24x40"):
        inputs_of(Given(torch.zeros(1, 3, 24, 40)), OwnInput(size=24), InputSpec())
    with pytest.raises(UsageError, match="--image-size 40x24: the network's"):
        inputs_of(Given(torch.zeros(1, 3, 24, 40)), OwnInput(size=40, width=24), InputSpec())
    inputs_of(Given(torch.zeros(1, 3, 24, 40)), OwnInput(size=24, width=40), InputSpec())


def test_an_oblong_image_keeps_the_proportions_of_photographs():
    square, oblong = (
        samples(InputSpec(size, width=width, preprocessing=PIXELS), seed=0)[1][0, 0].transpose(1, 2, 0)
        for size, width in ((96, None), (48, 96))
    )
    assert oblong.shape == (48, 96, 3)
    assert np.abs(oblong - square[:48]).mean() < 4  # the upper half of the same square


@pytest.mark.parametrize("example", [torch.zeros(1, 4, 24, 24), torch.zeros(1, 7)])
def test_any_other_tensor_is_taken_as_it_is(example):
    network, inputs = inputs_of(Given((example,)), OwnInput(), InputSpec())
    assert isinstance(network, Given)
    assert inputs.example is not None
    assert inputs.image.preprocessing == UNTOUCHED


def test_samples_vary_and_depend_on_the_seed_alone():
    example = (torch.randn(1, 5) * 3 + 7, torch.tensor([[4, 9]]), torch.tensor([True, False]))
    _, inputs = inputs_of(Given(example), OwnInput(), InputSpec())
    names, columns = inputs.for_parity(seed=1)
    assert names[0] == "example"
    assert [column.dtype for column in columns] == [np.float32, np.int64, np.bool_]
    assert np.array_equal(columns[0][0], example[0].numpy())
    assert np.ptp(columns[0], axis=0).min() > 0.5
    assert set(columns[1].flat) == {4, 9}
    assert all(np.array_equal(a, b) for a, b in zip(columns, inputs.for_parity(seed=1)[1], strict=True))
    assert not np.array_equal(columns[0], inputs.for_parity(seed=2)[1][0])


def test_a_free_batch_is_traced_at_two():
    _, inputs = inputs_of(Given((torch.zeros(1, 7), torch.zeros(1, 2))), OwnInput(), InputSpec())
    assert [len(tensor) for tensor in inputs.for_capture(0, free_batch=True)] == [2, 2]
    assert [len(tensor) for tensor in inputs.for_capture(0, free_batch=False)] == [1, 1]


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ((), "holds no tensor"),
        ((torch.zeros(1), 3), "1 is a int, not a tensor"),
        ({"x": torch.zeros(1), "z": torch.zeros(1)}, "does not fit the parameters of forward: .*'z'"),
    ],
)
def test_examples_that_cannot_be(example, message):
    with pytest.raises(UsageError, match=message):
        inputs_of(Given(example), OwnInput(), InputSpec())


def test_nested_arguments_are_flattened():
    network = load_network(ModelSpec(f"{LIGHT}:nested"))
    assert isinstance(network.module, Flattened)
    assert network.input_names == ("left", "right", "scale")
    assert network.output_names == ("output_0", "output_1")


def test_a_size_that_the_example_rules_out():
    with pytest.raises(
        UsageError, match="--image-size 64: the network's own example inputs are 1x3x24x40, 1x4"
    ):
        load_network(ModelSpec(f"{LIGHT}:detector", input=OwnInput(size=64)))


def test_an_output_that_is_no_tensor_is_named(tmp_path):
    (tmp_path / "odd.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n"
        "    def forward(self, x): return {'mean': x.mean(), 'kind': 'grey'}\n"
    )
    with pytest.raises(ConversionError, match="what forward returns as kind is of type str; let it"):
        load_network(ModelSpec(f"{tmp_path / 'odd.py'}:Net"))


def test_a_network_that_does_not_take_the_image_says_so_in_one_line(tmp_path):
    (tmp_path / "eight.py").write_text("from torch import nn\ndef conv(): return nn.Conv2d(8, 4, 1)\n")
    with pytest.raises(
        ConversionError, match=r":conv does not run on inputs of 1x3x224x224: RuntimeError: .*8"
    ) as caught:
        load_network(ModelSpec(f"{tmp_path / 'eight.py'}:conv"))
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The detector in every format: format -> artifact."""
    request = ExportRequest(
        ModelSpec(f"{LIGHT}:detector"), formats=FORMATS, output_dir=tmp_path_factory.mktemp("detector")
    )
    outcomes = export_model(request, Stages()).outcomes
    assert [outcome.error for outcome in outcomes] == [None] * len(FORMATS)
    return {outcome.format: outcome.artifact for outcome in outcomes}


@pytest.mark.parametrize("name", FORMATS)
def test_several_inputs_and_outputs_keep_their_names_in_every_format(exported, name):
    artifact = read_manifest(exported[name].path)
    assert artifact.path.name == f"detector_fp32{format_named(name).SUFFIX}"
    assert artifact.parity["verdict"] == "pass"
    assert [tensor.name for tensor in artifact.inputs] == ["picture", "prompt"]
    assert [tensor.name for tensor in artifact.outputs] == ["boxes", "heads_0", "heads_1"]
    golden = read_golden(artifact)
    predictor = format_named(name).load(artifact)
    found = predictor({key: array[0] for key, array in golden.inputs.items()})
    assert set(found) == {"boxes", "heads_0", "heads_1"}
    assert found["boxes"].shape == (1, 4, 12, 20)
    assert artifact.preprocessing == UNTOUCHED


def test_names_asked_for_are_the_files_names(tmp_path):
    spec = ModelSpec(f"{LIGHT}:detector", input_names=("photo", "text"), output_names=("b", "s", "f"))
    outcome = export_model(ExportRequest(spec, formats=("onnx",), output_dir=tmp_path), Stages()).outcomes[0]
    import onnx

    graph = onnx.load(outcome.artifact.path).graph
    assert [value.name for value in graph.input] == ["photo", "text"]
    assert [value.name for value in graph.output] == ["b", "s", "f"]


def test_a_free_batch_of_several_inputs(tmp_path):
    spec = ModelSpec(f"{LIGHT}:detector")
    request = ExportRequest(spec, formats=("onnx",), output_dir=tmp_path, dynamic_batch=True)
    outcome = export_model(request, Stages()).outcomes[0]
    assert outcome.error is None, outcome.error
    assert outcome.artifact.dynamic_batch


@pytest.mark.parametrize("name", ["shuffle_like", "squeeze_like", "nested"])
def test_networks_of_one_file_collections(name, tmp_path):
    spec = ModelSpec(f"{LIGHT}:{name}", input=OwnInput())
    done = export_model(ExportRequest(spec, formats=("onnx",), output_dir=tmp_path), Stages())
    assert done.outcomes[0].error is None, done.outcomes[0].error
    assert not done.passes.refusals


HALF = {"mean": (0.5,), "std": (0.25,)}


def test_what_is_said_of_the_pixels_is_taken_and_the_rest_is_assumed():
    network = load_network(ModelSpec("tiny_networks:tiny", input=OwnInput(size=32)))
    assert network.input.preprocessing == ASSUMED
    network = load_network(ModelSpec("tiny_networks:tiny", input=OwnInput(size=32, **HALF)))
    how = network.input.preprocessing
    assert (how.mean, how.std) == ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    assert how.assumed == ("scale", "colour_order")


@pytest.mark.parametrize(
    ("name", "said", "message"),
    [
        ("tiny_networks:tiny", {"mean": (1.0, 2.0)}, "--mean has 2 numbers, but the image has 3 channels"),
        ("odd_networks:bytes_alone", HALF, "--mean: the network takes uint8 pixels unchanged"),
        ("odd_networks:bytes_and_tokens", {"scale": 2.0}, "--scale: the network takes 1x3x24x40, 1x7"),
        ("odd_networks:grey", {"colour_order": "BGR"}, "--colour-order BGR: the network takes grey images"),
    ],
)
def test_what_cannot_be_said_of_the_pixels(name, said, message):
    with pytest.raises(UsageError, match=message):
        load_network(ModelSpec(name, input=OwnInput(**said)))


def test_bytes_may_be_blue_first():
    network = load_network(ModelSpec("odd_networks:bytes_alone", input=OwnInput(colour_order="BGR")))
    assert network.input.preprocessing == replace(PIXELS, colour_order="BGR", assumed=())
