"""errors, quiet, stages, table: a few lines each."""

import io
import subprocess
import sys

import pytest

from mocovit_deploy.errors import DeployError, MissingToolError, first_line, unknown_choice
from mocovit_deploy.extras import needs_extra, require_extra
from mocovit_deploy.terminal.progress import Stages
from mocovit_deploy.terminal.table import megabytes, table


def every_subclass(kind):
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in every_subclass(child))]


def test_exit_statuses():
    ours = [kind for kind in every_subclass(DeployError) if kind.__module__ == DeployError.__module__]
    statuses = {kind.__name__: kind.exit_status for kind in ours}
    assert statuses == {
        "DeployError": 1,
        "UsageError": 2,
        "ConversionError": 3,
        "ParityError": 4,
        "AccuracyError": 5,
        "SlowerError": 6,
        "DeviceError": 7,
        "TransientDeviceError": 7,
        "StableDeviceError": 7,
        "OutputError": 7,
        "MissingToolError": 8,
    }
    assert all(kind.__doc__ for kind in every_subclass(DeployError))


def test_a_close_choice_is_suggested_and_a_far_one_is_not():
    formats = ["onnx", "tflite"]
    near = str(unknown_choice("format", "tflit", formats))
    assert near == "unknown format 'tflit'; did you mean 'tflite'? (choose from onnx, tflite)"
    assert "did you mean" not in str(unknown_choice("format", "zzz", formats))


def test_a_missing_extra_names_its_command():
    with pytest.raises(MissingToolError, match=r"pip install '.\[onnx\]'"):
        needs_extra("no_such_package_anywhere", "onnx")
    with pytest.raises(MissingToolError, match=r"pip install '.\[onnx\]'"):
        require_extra("no_such_package_anywhere", "onnx")
    require_extra("numpy", "onnx")


def test_an_import_that_fails_inside_an_installed_package_is_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "halfway.py").write_text("import something_else_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_else"):
        needs_extra("halfway", "onnx")


def test_first_line_goes_to_the_root():
    try:
        try:
            raise ValueError("\n  the cause\nmore")
        except ValueError as error:
            raise RuntimeError("around it") from error
    except RuntimeError as error:
        assert first_line(error) == "the cause"
    assert first_line(KeyError()) == "KeyError"


def test_quiet_hides_descriptors_and_keeps_a_way_out():
    code = (
        "import os, sys\nfrom mocovit_deploy.terminal.quiet import quiet\nprint('before')\n"
        "with quiet() as err:\n    print('hidden'); os.write(1, b'hidden'); os.write(2, b'hidden')\n"
        "    os.system('echo hidden'); err.write('shown\\n')\nprint('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "before\nafter\n"
    assert done.stderr == "shown\n"


def test_stages_keep_their_seconds_and_show_them_on_a_terminal_only():
    out = io.StringIO()
    loud, silent = Stages(out), Stages()
    for stages in (loud, silent):
        with stages("work"):
            pass
        with pytest.raises(ValueError), stages("failing"):
            raise ValueError
        assert list(stages.seconds) == ["work", "failing"]
    assert "work ..." in out.getvalue()
    once = loud.seconds["work"]
    with loud("work"):
        pass
    assert loud.seconds["work"] > once  # a stage that comes again is added


def test_table():
    assert table(("name", "n"), [("a", "1"), ("long", "10")]) == "name   n\n----  --\na      1\nlong  10"
    assert megabytes(21_165_856) == "21.2 MB"
