from __future__ import annotations

import gc
import logging
import subprocess
import sys

import pytest

from exporters.coreml import toolchain
from exporters.coreml.read import read_program
from mocovit_deploy.errors import MissingToolError


def test_importing_the_format_imports_nothing_heavy():
    script = (
        "import sys, exporters.coreml; "
        "print(sorted({'torch', 'coremltools', 'sklearn', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_packages_probed_in_vain_are_hidden_only_meanwhile():
    script = (
        "import sys; from exporters.coreml.toolchain import PROBED_IN_VAIN, coremltools; coremltools(); "
        "print([name for name in PROBED_IN_VAIN if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_without_coremltools_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(MissingToolError, match=r"pip install '\.\[coreml\]'"):
        read_program(tmp_path)


def test_garbage_collection_comes_back():
    def fail() -> None:
        with toolchain.uncollected():
            assert not gc.isenabled()
            raise KeyError

    assert gc.isenabled()
    with pytest.raises(KeyError):
        fail()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_garbage_collection_that_was_off_stays_off():
    gc.disable()
    try:
        with toolchain.uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_quiet_swallows_chatter_and_restores(capsys):
    logger = logging.getLogger("coremltools")
    level = logger.level
    with toolchain.quiet_coremltools():
        print("a progress bar", file=sys.stderr)
        logger.warning("not tested with this version")
    assert logger.level == level
    assert capsys.readouterr() == ("", "")
