"""A phone of the small daemon: the same files as the virtual phone, without namespaces."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from phone.image import SM8150_KHZ, make_image
from phone.pieces import Pieces
from phone.virtual import Phone

_DAEMON = Path(__file__).with_name("small_daemon.py")
_START_S = 20.0
_SHA256SUM = """#!/bin/sh
# Digests of what was pushed, not of what stands in its place (sandbox.py).
for file; do
  kept="ROOT/.programs/$(echo "${file#ROOT/}" | tr / %)"
  [ -e "$file" ] && [ -e "$kept" ] || kept=$file
  digest=$(/usr/bin/sha256sum < "$kept") && echo "${digest%% *}  $file"
done
"""


@contextlib.contextmanager
def small_phone(
    folder: Path, pieces: Pieces, *, khz: Sequence[int] = SM8150_KHZ, options: Sequence[str] = ()
) -> Iterator[Phone]:
    """Like `virtual_phone`; `options`: "untrusting"."""
    root, address = folder / "root", folder / "adbd"
    root.mkdir()
    make_image(root, pieces, khz=khz)
    _use_own_tools(root)
    words = [sys.executable, str(_DAEMON), str(root), str(pieces.qemu), str(address), *options]
    with (folder / "phone.log").open("wb") as log:
        daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    deadline = time.monotonic() + _START_S
    while not address.exists():
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "phone.log").read_text(errors="replace")[-500:])
        time.sleep(0.02)
    try:
        yield Phone(root=root, address=address, daemon=daemon, real=False)
    finally:
        daemon.kill()
        daemon.wait()


def _use_own_tools(root: Path) -> None:
    """The scripts of the phone run in this machine's shell; its aarch64 tools are left out."""
    tools = root / "tools"
    tools.mkdir()
    sums = tools / "sha256sum"
    sums.write_text(_SHA256SUM.replace("ROOT", str(root.resolve())))
    sums.chmod(0o755)
    for name in ("getprop", "dumpsys"):
        text = (root / "system/bin" / name).read_text()
        script = text.replace("#!/system/bin/sh", "#!/bin/sh").replace("/system/", f"{root}/system/")
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
