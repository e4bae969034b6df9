"""Everything the emulator and the phone need, fetched, verified and built into one cache.

cache    where it lies          debian, wheels, lock   packages by digest
compile  the bench in C         bundle                 aarch64 libraries in one folder
qemu     the emulator's build   qemu_check             does it count right?      emulator   the whole of it
"""
