"""Build a MIL program with coremltools, save it, read the file back, execute it, compare with torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporters.coreml.execute import execute
from exporters.coreml.program import Program
from exporters.coreml.read import read_program
from exporters.coreml.toolchain import coremltools, quiet_coremltools, uncollected
from mocovit_deploy.artifacts.artifact import Array

MISSING = [name for name in ("coremltools", "torch") if importlib.util.find_spec(name) is None]


class _Skipped(pytest.Module):
    """A file of tests that is not imported, because what it imports is missing."""

    def collect(self) -> Any:
        pytest.skip(f"not installed: {', '.join(MISSING)}", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> Any:
    return _Skipped.from_parent(parent, path=module_path) if MISSING else None


PRECISIONS = {"fp32": np.float32, "fp16": np.float16}


def save_program(
    path: Path, inputs: Sequence[Array], build: Callable[..., Any], target: str = "iOS16"
) -> Program:
    """Save the program that `build(mb, x0, x1, ...)` makes, as it is, and read it from the file."""
    ct = coremltools()
    from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 (its name in its own documentation)
    from coremltools.converters.mil.mil import Function, types
    from coremltools.converters.mil.mil import Program as MilProgram

    opset = ct.target[target]
    placeholders = {
        f"x{i}": mb.placeholder(array.shape, dtype=types.numpy_type_to_builtin_type(array.dtype))
        for i, array in enumerate(inputs)
    }
    with quiet_coremltools(), uncollected():  # coremltools collects garbage in every conversion: 0.2 s of it
        with Function(placeholders, opset_version=opset) as function:
            made = build(mb, *function.inputs.values())
            function.set_outputs(list(made) if isinstance(made, (list, tuple)) else [made])
        program = MilProgram()
        program.add_function("main", function)
        model = ct.convert(
            program,
            convert_to="mlprogram",
            minimum_deployment_target=opset,
            compute_precision=ct.precision.FLOAT32,  # types are the program's own: no cast is added
            pass_pipeline=ct.PassPipeline.EMPTY,
            skip_model_load=True,
        )
        model.save(str(path))
    return read_program(path)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Program]:
    """`save(inputs, build, target=...)`: the program as read from a saved file."""
    return lambda *args, **kwargs: save_program(tmp_path / "program.mlpackage", *args, **kwargs)


@pytest.fixture(params=PRECISIONS)
def agree(request: pytest.FixtureRequest, save: Callable[..., Program]) -> Callable[..., Program]:
    """Check one program, in float and in half, against what torch computes.

    `agree(inputs, build, expected)`: `build(mb, const, x0, ...)` makes the program and `expected(const, x0,
    ...)` the same in float32 torch; `const` turns a float array into a constant of the file's precision.
    Float results may differ by 2e-6 of the largest value; half results must be float16 numbers and may differ
    from torch's, rounded, by one step of float16 (sums are accumulated in another order).
    """
    name = request.param
    dtype = PRECISIONS[name]

    def rounded(array: Any) -> Array:
        given = np.asarray(array)
        return given.astype(dtype) if given.dtype.kind == "f" else given

    def check(
        inputs: Sequence[Array],
        build: Callable[..., Any],
        expected: Callable[..., Any],
        target: str = "iOS16",
    ) -> Program:
        stored = [rounded(array) for array in inputs]
        program = save(stored, lambda mb, *xs: build(mb, rounded, *xs), target)
        found = execute(program, {f"x{i}": array for i, array in enumerate(stored)}, name)

        import torch

        def tensor(array: Any) -> Any:
            given = rounded(array)
            return torch.from_numpy(given.astype(np.float32) if given.dtype.kind == "f" else given.copy())

        wanted = expected(tensor, *map(tensor, stored))
        for output, want in zip(
            program.outputs, wanted if isinstance(wanted, (list, tuple)) else [wanted], strict=True
        ):
            _assert_close(found[output], want.numpy(), name)
        return program

    return check


def _assert_close(found: Array, want: Array, precision: str) -> None:
    assert found.shape == want.shape
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(found, want)
        return
    assert found.dtype == np.float32
    assert not np.isnan(found).any()
    assert want.size == 0 or np.ptp(want) > 0 or want.size == 1, "a constant output proves nothing"
    if precision == "fp32":
        assert np.abs(found - want).max() <= 2e-6 * max(1.0, np.abs(want).max())
    else:
        np.testing.assert_array_equal(found, found.astype(np.float16))
        step = np.spacing(np.abs(want.astype(np.float16))).astype(np.float32)
        assert (np.abs(found - want.astype(np.float16).astype(np.float32)) <= step + 1e-6).all()


@pytest.fixture
def draw() -> Callable[..., Array]:
    """`draw(shape, low=-1, high=1)`: float32 numbers, the same in every run."""
    generator = np.random.default_rng(0)

    def make(shape: Sequence[int], low: float = -1.0, high: float = 1.0) -> Array:
        return generator.uniform(low, high, tuple(shape)).astype(np.float32)

    return make
