/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What one A64 instruction does, as far as counting needs to know. Plain C: no emulator, no library.
 */
#ifndef MOCOVIT_A64_H
#define MOCOVIT_A64_H

#include <stdint.h>

/* Every instruction is of exactly one class. benchmarks/reports/counts.py lists the same names. */
enum a64_class {
    A64_BRANCH,
    A64_INTEGER,
    A64_INTEGER_MULTICYCLE, /* multiplication, division, CRC: the pipe that takes several cycles */
    A64_LOAD,
    A64_STORE,
    A64_ATOMIC, /* one instruction that loads and stores */
    A64_SIMD_LOAD,
    A64_SIMD_STORE,
    A64_PREFETCH,
    A64_SIMD_FMA_F32,
    A64_SIMD_FMA_F16,
    A64_SIMD_DOT_I8,
    A64_SIMD_MATMUL_I8,
    A64_SIMD_WIDENING_MLA,
    A64_SIMD_OTHER,
    A64_FP_SCALAR,
    A64_SYSTEM,
    A64_OTHER, /* unallocated here: SVE, SME, memory tags, memory copies */
    A64_CLASSES
};

/* Multiply-accumulates, by the instruction that does them. Products without a sum (FMUL, SMULL) and scalar
 * arithmetic are not counted: no convolution kernel does its work in them. Nor is FMLAL (halves into singles):
 * the cores that are played do not have it. */
enum a64_mac {
    A64_MAC_FP32,
    A64_MAC_FP16,
    A64_MAC_INT8_DOT,
    A64_MAC_INT8_MATMUL,
    A64_MAC_WIDENING_MLA,
    A64_MACS
};

extern const char *const a64_class_names[A64_CLASSES];
extern const char *const a64_mac_names[A64_MACS];

struct a64_instruction {
    enum a64_class class;
    unsigned loaded_bytes;
    unsigned stored_bytes;
    enum a64_mac mac; /* meaningful where macs > 0 */
    unsigned macs;
};

/* Decode one little-endian word. Never fails: what it does not know is A64_OTHER. */
struct a64_instruction a64_decode(uint32_t word);

#endif
