"""What `import mocovit_deploy` offers, by name; docs/architecture.md says how stable it is."""

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys

import mocovit_deploy

PUBLIC = {
    *("Export", "ExportedFile", "Measurement", "PassResult", "check", "export", "measure", "reparameterize")
}


def test_the_public_names_are_these():
    assert set(mocovit_deploy.__all__) == PUBLIC
    for name in PUBLIC:
        assert inspect.getdoc(getattr(mocovit_deploy, name)), f"{name} has no docstring"


def test_nothing_heavy_is_imported_with_the_package():
    code = "import sys, mocovit_deploy; print([m for m in ('torch', 'numpy', 'onnx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_examples_in_docstrings_are_true():
    """Every `>>>` of the three packages."""
    examples = 0
    for root in ("mocovit_deploy", "exporters", "benchmarks"):
        package = importlib.import_module(root)
        for found in pkgutil.walk_packages(package.__path__, f"{root}."):
            if found.name.endswith("__main__"):
                continue
            module = importlib.import_module(found.name)
            if ">>>" in inspect.getsource(module):
                result = doctest.testmod(module)
                assert result.failed == 0, found.name
                examples += result.attempted
    assert examples >= 10
