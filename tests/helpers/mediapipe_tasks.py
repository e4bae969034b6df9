"""MediaPipe Tasks' `ImageClassifier`, in an environment of its own in the cache, made the first time."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

VERSION = "1.2.3"
CLASSIFY = """
import json, sys
import mediapipe, numpy
from mediapipe.tasks.python import BaseOptions, vision
file, pixels = sys.argv[1:]
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=file))
answers = []
with vision.ImageClassifier.create_from_options(options) as classifier:
    for image in numpy.load(pixels).values():
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        found = classifier.classify(image).classifications[0].categories
        answers.append([[one.category_name, one.score] for one in found])
print(json.dumps(answers))
"""


def mediapipe_python() -> str:
    """A Python that has MediaPipe."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "mocovit-deploy" / f"mediapipe-{VERSION}"
    binary = home / "bin" / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True, clear=True)
        wanted = [f"mediapipe=={VERSION}", "numpy"]
        install = [str(binary), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
        subprocess.run(install, check=True, timeout=280)
        (home / "ready").touch()
    return str(binary)


def classified(
    python: str, path: Path, images: Sequence[np.ndarray], scratch: Path
) -> list[list[tuple[str, float]]]:
    """Labels and scores that the file at `path` gives to each image, (H, W, 3) in uint8, best first."""
    np.savez(scratch / "pixels.npz", *images)
    command = [python, "-c", CLASSIFY, str(path), str(scratch / "pixels.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return [[(label, score) for label, score in one] for one in json.loads(done.stdout.splitlines()[-1])]
