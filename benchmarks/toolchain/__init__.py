"""The programs that the emulator and phones need: downloaded, verified and built into one cache.

cache    the cache folder       debian, wheels, lock   packages by digest
compile  the bench in C         bundle                 aarch64 programs in one folder
qemu     building the emulator  qemu_check             a program of known counts      emulator   finding it
"""
