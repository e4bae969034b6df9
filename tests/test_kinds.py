from dataclasses import dataclass

import numpy as np
import pytest

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
