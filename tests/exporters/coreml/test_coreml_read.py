from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exporters.coreml.execute import execute
from exporters.coreml.read import read_program
from mocovit_deploy.errors import UsageError


@pytest.fixture
def package(save, draw, tmp_path) -> Path:
    """A saved convolution, with weights large enough for coremltools to keep them in the weight file."""
    save([draw((1, 8, 5, 5))], lambda mb, x: mb.conv(x=x, weight=draw((16, 8, 3, 3)), bias=draw((16,))))
    return tmp_path / "program.mlpackage"


def test_reads_inputs_outputs_and_operations(package):
    program = read_program(package)
    assert [(v.name, v.dtype, v.shape) for v in program.inputs] == [("x0", "fp32", (1, 8, 5, 5))]
    (conv,) = program.operations
    assert conv.kind == "conv"
    assert program.outputs == (conv.name,)
    assert conv.outputs[0].shape == (1, 16, 3, 3)
    weight = program.constants[str(conv.operands["weight"])]
    assert isinstance(weight, np.ndarray)
    assert weight.shape == (16, 8, 3, 3)
    assert weight.dtype == np.float32


def test_one_weight_nudged_in_the_file_changes_the_output(package, draw):
    """What is judged is the file on disk: the last float32 of its weight file is made larger by 2 %."""
    x = {"x0": draw((1, 8, 5, 5))}
    (output,) = read_program(package).outputs
    before = execute(read_program(package), x, "fp32")[output]
    weights = package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    stored = read_program(package).constants[str(read_program(package).operations[0].operands["weight"])]
    assert isinstance(stored, np.ndarray)
    data = weights.read_bytes()
    victim = stored.ravel()[100].tobytes()
    assert data.count(victim) == 1
    weights.write_bytes(data.replace(victim, (stored.ravel()[100] * np.float32(1.02)).tobytes()))
    after = execute(read_program(package), x, "fp32")[output]
    assert np.abs(after - before).max() > 1e-3 * np.abs(stored.ravel()[100])


@pytest.mark.parametrize("damage", ["absent", "file", "empty", "truncated", "no-weights"])
def test_what_cannot_be_read_is_a_users_mistake(damage, package):
    model = package / "Data" / "com.apple.CoreML"
    if damage == "absent":
        package = package.with_name("other.mlpackage")
    elif damage == "file":
        package = package.with_name("other.mlpackage")
        package.write_bytes(b"not a folder")
    elif damage == "empty":
        package = package.with_name("other.mlpackage")
        package.mkdir()
    elif damage == "truncated":
        whole = (model / "model.mlmodel").read_bytes()
        (model / "model.mlmodel").write_bytes(whole[: len(whole) // 2])
    else:
        (model / "weights" / "weight.bin").unlink()
    with pytest.raises(UsageError, match=r"\.mlpackage") as caught:
        read_program(package)
    assert "\n" not in str(caught.value)


def test_compressed_weights_are_unpacked(save, draw):
    x = draw((2, 4))
    quantized = np.arange(12, dtype=np.uint8).reshape(3, 4)

    def build(mb, x):
        weight = mb.constexpr_affine_dequantize(
            quantized_data=quantized, zero_point=np.uint8(3), scale=np.float32(0.5), axis=0
        )
        return mb.linear(x=x, weight=weight)

    program = save([x], build)
    found = execute(program, {"x0": x}, "fp32")[program.outputs[0]]
    np.testing.assert_allclose(found, x @ ((quantized.astype(np.float32) - 3) * 0.5).T, rtol=0, atol=1e-5)


def test_reading_and_executing_work_without_torch(package):
    """In a process where `import torch` fails."""
    script = f"""
import sys
sys.modules["torch"] = None
from pathlib import Path
import numpy as np
from exporters import coreml
from mocovit_deploy.artifacts.artifact import Artifact
from mocovit_deploy.spec import Preprocessing
path = Path({str(package)!r})
artifact = Artifact(path, "coreml", "fp32", "m", "w", (), (), Preprocessing(), "", "")
predictor = coreml.load(artifact)
(result,) = predictor({{"x0": np.ones((1, 8, 5, 5), np.float32)}}).values()
assert result.shape == (1, 16, 3, 3)
assert not any(name == "torch" or name.startswith("torch.") for name, m in sys.modules.items() if m)
print(predictor.runtime, predictor.arithmetic)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("numpy reference of coremltools ")
    assert done.stdout.endswith(" MIL fp32\n")
