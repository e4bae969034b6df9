"""A pooling behind a padding as wide as its window is refused by name, as ONNX Runtime would refuse it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from exporters.onnx.pools import refuse_pools_after_wide_pads
from exporters.onnx.run import session
from mocovit_deploy.errors import ConversionError


def padded(by):
    value = helper.make_tensor_value_info
    widths = numpy_helper.from_array(np.array([0, 0, by, 0, 0, 0, 0, 0], np.int64), "widths")
    fill = numpy_helper.from_array(np.float32(0), "fill")
    pad = helper.make_node("Pad", ["x", "widths", "fill"], ["p"])
    pool = helper.make_node("MaxPool", ["p"], ["y"], kernel_shape=[2, 2])
    pool.metadata_props.add(key="module", value="body.6")
    shapes = [value("x", TensorProto.FLOAT, (1, 3, 5, 5)), value("y", TensorProto.FLOAT, (1, 3, 4 + by, 4))]
    graph = helper.make_graph([pad, pool], "g", shapes[:1], shapes[1:], [widths, fill])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_it_is_refused_by_its_module():
    model = padded(2)
    with pytest.raises(ConversionError, match=r"body\.6 \(MaxPool\): .* padding of 2; pad by less"):
        refuse_pools_after_wide_pads(model, "module")
    with pytest.raises(ConversionError, match="cannot load it"):
        session(model.SerializeToString(), "file")


def test_a_narrower_padding_is_none_of_its_business():
    model = padded(1)
    refuse_pools_after_wide_pads(model, "module")
    onnx.checker.check_model(model)
    session(model.SerializeToString(), "file")
