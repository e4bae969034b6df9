import pytest
import torch
from torch import nn

from mocovit_deploy.errors import UsageError
from mocovit_deploy.models.names import name_inputs, name_outputs, parameters_of

ONE = ((0,),)


def test_parameters_of_forward():
    class Net(nn.Module):
        def forward(self, image, mask=None, *rest, flag=False):
            return image

    assert parameters_of(Net().forward) == ("image", "mask")


@pytest.mark.parametrize(
    ("declared", "parameters", "paths", "expected"),
    [
        ((), ("x",), ONE, ("x",)),
        (("image",), ("x",), ONE, ("image",)),
        ((), ("left", "right"), ((0,), (1,)), ("left", "right")),
        ((), (), ONE, ("input",)),
        ((), (), ((0,), (1,)), ("input_0", "input_1")),
        ((), ("batch",), ((0, "left"), (0, "right")), ("left", "right")),
        ((), ("pair",), ((0, 0), (0, 1)), ("pair_0", "pair_1")),
        ((), ("a", "b"), ((0, "x"), (1, "x")), ("x", "x_input")),
        ((), ("a",), ((0, "x y/z"),), ("x_y_z",)),
    ],
)
def test_inputs(declared, parameters, paths, expected):
    assert name_inputs((), declared, parameters, paths) == expected


@pytest.mark.parametrize(
    ("paths", "classifier", "expected"),
    [
        ([()], True, ("logits",)),
        ([()], False, ("output",)),
        ([(0,), (1,)], False, ("output_0", "output_1")),
        ([("boxes",), ("heads", 0), ("heads", 1)], False, ("boxes", "heads_0", "heads_1")),
        ([("x",), ("y",)], False, ("x_output", "y")),
        ([("a b",), ("a_b",)], False, ("a_b", "a_b_output")),
        ([("a b",), ("a_b",), ("a-b",)], False, ("a_b", "a_b_output", "a_b_2")),
        ([("0",)], False, ("output_0",)),
    ],
)
def test_outputs(paths, classifier, expected):
    assert name_outputs((), paths, classifier=classifier, inputs=("x",)) == expected


def test_names_asked_for_come_first():
    assert name_inputs(("photo",), ("image",), ("x",), ONE) == ("photo",)
    assert name_outputs(("classes",), [()], classifier=True, inputs=("x",)) == ("classes",)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("a", "b", "c"), "3 names for 2 inputs"),
        (("a", "a"), "two inputs cannot have the same name"),
        (("a", "b c"), "'b c' is not a word"),
        (("a", "2b"), "'2b' is not a word"),
        (("a", "é"), "'é' is not a word"),
    ],
)
def test_names_that_do_not_fit(asked, message):
    with pytest.raises(UsageError, match=message):
        name_inputs(asked, (), (), ((0,), (1,)))


def test_an_output_cannot_take_the_name_of_an_input():
    with pytest.raises(UsageError, match="x is an input's name"):
        name_outputs(("x",), [()], classifier=False, inputs=("x",))


def test_named_tuples_and_dictionaries_of_torch():
    from collections import namedtuple

    from torch.utils import _pytree as pytree

    from mocovit_deploy.models.inputs import path_of

    pair = namedtuple("Pair", ["boxes", "scores"])
    x = torch.zeros(1)
    keyed, _ = pytree.tree_flatten_with_path({"a": pair(x, x), "b": [x]})
    assert [path_of(keys) for keys, _ in keyed] == [("a", "boxes"), ("a", "scores"), ("b", 0)]
