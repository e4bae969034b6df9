"""The files of a virtual Snapdragon 855 (SM8150): shell, tools, properties, the parts of /sys that matter.

The same folder is the root of the phone in namespaces (virtual.py) and the sandbox of the small daemon
(small_daemon.py). Everything in it is a plain file, so a test heats the phone by writing a number.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from phone.pieces import Pieces

_APPLETS = (
    "cat",
    "chmod",
    "df",
    "grep",
    "head",
    "id",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "rmdir",
    "sha256sum",
    "sleep",
    "stat",
    "taskset",
    "touch",
    "tr",
    "true",
    "uname",
    "yes",
)

PROPERTIES = {
    "ro.product.model": "Virtual SM8150",
    "ro.product.manufacturer": "nobody",
    "ro.product.device": "sm8150_virtual",
    "ro.product.name": "sm8150_virtual",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.board.platform": "msmnile",
    "ro.hardware": "qcom",
    "ro.soc.model": "SM8150",
    "ro.build.version.release": "10",
    "ro.build.version.sdk": "29",
    "ro.build.fingerprint": "virtual/sm8150:10/1:userdebug/test-keys",
}

SM8150_KHZ = (1785600,) * 4 + (2419200,) * 3 + (2841600,)
"""What cpuinfo_max_freq says, core by core."""

_GETPROP = """#!/system/bin/sh
while IFS='=' read -r key value; do
  [ -n "$1" ] || echo "[$key]: [$value]"
  [ "$key" = "$1" ] && { echo "$value"; exit 0; }
done < /system/build.prop
exit 0
"""

_DUMPSYS = """#!/system/bin/sh
[ "$1" = battery ] || { echo "Can't find service: $1"; exit 1; }
cat /system/battery
"""


def make_image(root: Path, pieces: Pieces, *, khz: Sequence[int] = SM8150_KHZ) -> None:
    """Fill `root`; the cores' clocks are `khz`."""
    for folder in ("system/bin", "data/local/tmp", "dev/pts", "proc", "bin", "tmp", "etc"):
        (root / folder).mkdir(parents=True)
    tools = root / "system/bin"
    shutil.copy2(pieces.shell, tools / "sh")
    shutil.copy2(pieces.busybox, tools / "busybox")
    for applet in _APPLETS:
        (tools / applet).symlink_to("busybox")
    (root / "bin/sh").symlink_to("../system/bin/sh")
    write_program(root, "getprop", _GETPROP)
    write_program(root, "dumpsys", _DUMPSYS)
    properties = "".join(f"{name}={value}\n" for name, value in PROPERTIES.items())
    (root / "system/build.prop").write_text(properties)
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\nshell:x:2000:2000:shell:/:/bin/sh\n")
    _write_cpuinfo(root / "system/cpuinfo", len(khz))
    write_clocks(root, khz)
    write_temperatures(root, cpu_c=34.2, battery_c=28.1)
    write_battery(root, level=87, temperature_c=28.1)


def write_program(root: Path, name: str, text: str) -> None:
    """Put a script where the phone's shell finds it."""
    path = root / "system/bin" / name
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def write_clocks(root: Path, khz: Sequence[int], *, now: Sequence[int] | None = None) -> None:
    """The cores, the clocks they can have and those they have (`now`; the highest, if not given)."""
    system = root / "sys/devices/system/cpu"
    for core, (most, current) in enumerate(zip(khz, now or khz, strict=True)):
        folder = system / f"cpu{core}/cpufreq"
        folder.mkdir(parents=True, exist_ok=True)
        values = {
            "cpuinfo_max_freq": most,
            "cpuinfo_min_freq": 300000,
            "scaling_max_freq": most,
            "scaling_min_freq": 300000,
            "scaling_cur_freq": current,
        }
        for name, value in values.items():
            (folder / name).write_text(f"{value}\n")
        (folder / "scaling_governor").write_text("schedutil\n")
        (folder / "scaling_available_governors").write_text("performance powersave schedutil\n")
        topology = system / f"cpu{core}/topology"
        topology.mkdir(exist_ok=True)
        (topology / "core_id").write_text(f"{core}\n")
        (topology / "physical_package_id").write_text("0\n")
        (topology / "core_siblings_list").write_text(f"0-{len(khz) - 1}\n")
        (topology / "thread_siblings_list").write_text(f"{core}\n")
    for name in ("possible", "present", "online"):
        (system / name).write_text(f"0-{len(khz) - 1}\n")
    (system / "kernel_max").write_text("7\n")


def write_temperatures(root: Path, *, cpu_c: float, battery_c: float) -> None:
    """What the thermal zones say, in thousandths of a degree, as on the real chip."""
    zones = {"cpu-0-0-usr": cpu_c - 1.3, "cpu-1-0-usr": cpu_c, "battery": battery_c, "xo-therm": -274.0}
    for number, (kind, celsius) in enumerate(zones.items()):
        folder = root / f"sys/class/thermal/thermal_zone{number}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "type").write_text(f"{kind}\n")
        (folder / "temp").write_text(f"{round(celsius * 1000)}\n")


def write_battery(root: Path, *, level: int, temperature_c: float) -> None:
    """What `dumpsys battery` prints."""
    (root / "system/battery").write_text(
        "Current Battery Service state:\n  AC powered: false\n  USB powered: true\n  status: 2\n"
        f"  level: {level}\n  scale: 100\n  temperature: {round(temperature_c * 10)}\n"
    )


def _write_cpuinfo(path: Path, cores: int) -> None:
    features = (
        "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
    )
    blocks = [
        f"processor\t: {core}\nBogoMIPS\t: 38.40\nFeatures\t: {features}\nCPU implementer\t: 0x51\n"
        f"CPU architecture: 8\nCPU variant\t: 0xd\nCPU part\t: {'0x805' if core < 4 else '0x804'}\n"
        "CPU revision\t: 14\n"
        for core in range(cores)
    ]
    path.write_text("\n".join(blocks) + "\nHardware\t: Qualcomm Technologies, Inc SM8150\n")
