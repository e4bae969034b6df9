"""A small /proc and /sys for emulated programs, so that they do not see those of the host.

Runtimes choose their kernels by what these files say about the processor. qemu opens absolute paths of the
guest below its `-L` folder if they exist there. Without them, versions before 10 show the host's
/proc/cpuinfo, on which the cpuinfo library inside LiteRT and ONNX Runtime crashes, and all versions show the
host's /sys. With this folder, counts do not depend on the machine that makes them.
"""

from __future__ import annotations

from pathlib import Path

CORES = 4
"""The number of emulated cores, as in one cluster of a phone; more threads than this share them."""

_ARM = "0x41"
_PARTS = {"cortex-a76": "0xd0b", "cortex-a55": "0xd05", "cortex-a53": "0xd03"}
"""Part numbers in MIDR_EL1, from each core's Technical Reference Manual."""

_V8_0 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V8_2 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
_FEATURES = {"cortex-a76": _V8_2, "cortex-a55": _V8_2, "cortex-a53": _V8_0}


def write_prefix(folder: Path, cpu: str) -> None:
    """Fill `folder` with the files that describe `CORES` cores of kind `cpu`."""
    processors = [
        f"processor\t: {core}\nBogoMIPS\t: 38.40\nFeatures\t: {_FEATURES[cpu]}\nCPU implementer\t: {_ARM}\n"
        f"CPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: {_PARTS[cpu]}\nCPU revision\t: 0\n"
        for core in range(CORES)
    ]
    _write(folder / "proc/cpuinfo", "\n".join(processors))
    everyone = f"0-{CORES - 1}"
    system = folder / "sys/devices/system/cpu"
    for name in ("possible", "present", "online"):
        _write(system / name, everyone + "\n")
    _write(system / "kernel_max", f"{CORES - 1}\n")
    for core in range(CORES):
        topology = system / f"cpu{core}/topology"
        _write(topology / "core_id", f"{core}\n")
        _write(topology / "physical_package_id", "0\n")
        _write(topology / "core_siblings_list", everyone + "\n")
        _write(topology / "thread_siblings_list", f"{core}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
