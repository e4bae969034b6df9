import json
from dataclasses import dataclass

import numpy as np
import pytest

from mocovit_deploy.artifacts.task import Task
from mocovit_deploy.errors import UsageError
from mocovit_deploy.kinds import require_kinds
from mocovit_deploy.spec import AccuracyRequest, ExportRequest, InputSpec, ModelSpec, Preprocessing


@dataclass
class Numbers:
    pair: tuple[int, float] = (1, 2)
    many: tuple[float, ...] = (1, 2.5)


@pytest.mark.parametrize(
    "record",
    [
        ExportRequest(ModelSpec()),
        ExportRequest(ModelSpec(), accuracy=AccuracyRequest("photographs", images=3, max_drop=1)),
        ModelSpec(input=InputSpec(size=np.int64(32), preprocessing=Preprocessing(scale=np.float32(1)))),
        Numbers(),
        Numbers(many=()),
    ],
)
def test_what_is_declared_is_taken(record):
    require_kinds(record)


def test_numbers_of_numpy_become_pythons_own():
    how = Preprocessing(scale=np.float32(0.5), mean=(np.float64(0.25),) * 3)
    given = ExportRequest(ModelSpec(seed=np.int64(3), input=InputSpec(np.int32(32), preprocessing=how)))
    made = require_kinds(given)
    assert made == given
    numbers = (made.model.seed, made.model.input.size, made.model.input.preprocessing.scale)
    assert [type(one) for one in numbers] == [int, int, float]
    assert {type(one) for one in made.model.input.preprocessing.mean} == {float}
    facts = {"image_size": [np.int64(64)], "anchor_side": np.float32(4), "boxes": "raw", "tops": True}
    written = Task(kind="detection", roles=("scores",), facts=facts).as_json(("scores",))
    assert json.loads(json.dumps(written))["image_size"] == [64]
    assert written["tops"] is True


def test_arrays_for_numbers_are_refused_by_name():
    with pytest.raises(UsageError, match=r"^mean=array\(.*expected tuple\[float, \.\.\.\]"):
        require_kinds(Preprocessing(mean=np.zeros(3)))
    with pytest.raises(UsageError, match=r"scale=array"):
        require_kinds(Preprocessing(scale=np.ones(1)))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (ExportRequest(ModelSpec(seed="1")), r"model\.seed='1': expected int"),
        (ExportRequest(ModelSpec(), opset=True), "opset=True: expected int"),
        (ExportRequest(ModelSpec(), verify=1), "verify=1: expected bool"),
        (ExportRequest("mocovit_1_0"), "model='mocovit_1_0': expected ModelSpec"),
        (
            Preprocessing(mean=(0.5, "0.5", 0.5)),
            r"mean=\(0\.5, '0\.5', 0\.5\): expected tuple\[float, \.\.\.\]",
        ),
        (Numbers(pair=(1, 2, 3)), r"expected tuple\[int, float\]"),
        (Numbers(pair=(1.5, 2)), r"expected tuple\[int, float\]"),
    ],
)
def test_another_type_is_told_with_its_place(record, message):
    with pytest.raises(UsageError, match=message):
        require_kinds(record)
