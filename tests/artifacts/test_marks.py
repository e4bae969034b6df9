import pytest

from mocovit_deploy.artifacts.marks import mark, marks_in, modules_of, split_mark


@pytest.mark.parametrize(("module", "operation"), [("blocks.3.up.primary.0", "conv2d_18"), ("", "relu_1")])
def test_there_and_back(module, operation):
    assert split_mark(mark(module, operation)) == (module, operation)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("stem.0:conv2d;1", ("stem.0:conv2d",)),
        ("stem.2:relu;;stem.0:conv2d;12", ("stem.2:relu", "stem.0:conv2d")),
        (":relu_41;;features:conv2d_114;1", (":relu_41", "features:conv2d_114")),
        ("a:b;;a:b;", ("a:b",)),
        ("serving_default_logits_output", ()),
        ("net.Net/torch.nn.modules.conv.Conv2d_0;1", ()),
        ("", ()),
    ],
)
def test_marks_in_the_names_that_converters_make(name, found):
    assert marks_in(name) == found


def test_steps_of_a_converters_own_are_of_the_next_module_that_reads_them():
    steps = [
        (["x"], ["a"]),  # reshape
        (["a", "w"], ["b"]),  # gemm
        (["b"], ["linear"]),
        (["linear"], ["c"]),  # a cast that two read
        (["c"], ["relu"]),
        (["c"], ["other"]),
        (["other", "relu"], ["d"]),  # nobody reads it
        (["e"], ["f"]),
        (["f", "neck.weight"], ["g"]),  # a layer whose result has lost its name
        (["g"], ["h"]),
        (["h"], ["late"]),
    ]
    known = {"linear": "head", "relu": "act", "other": "late", "late": "tail"}
    found = modules_of(steps, known, {"neck.weight": "neck"})
    assert found == ["head", "head", "head", "act", "act", "late", "act", "neck", "neck", "tail", "tail"]
