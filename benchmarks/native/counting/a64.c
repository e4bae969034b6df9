/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The decoder: a table of encodings, first match wins.
 *
 * Source: Arm Architecture Reference Manual for A-profile, DDI 0487, chapter C4 "A64 Instruction Set
 * Encoding". Rows stand in its order; `mask` selects the bits that a row fixes, `value` says to what.
 */
#include "a64.h"

#include <stddef.h>

const char *const a64_class_names[A64_CLASSES] = {
    "branch",       "integer",      "integer_multicycle", "load",           "store",
    "atomic",       "simd_load",    "simd_store",         "prefetch",       "simd_fma_f32",
    "simd_fma_f16", "simd_dot_i8",  "simd_matmul_i8",     "simd_widening_mla", "simd_other",
    "fp_scalar",    "system",       "other",
};

const char *const a64_mac_names[A64_MACS] = {"fp32", "fp16", "int8_dot", "int8_matmul", "widening_mla"};

static unsigned bits(uint32_t word, unsigned high, unsigned low)
{
    return word >> low & ((1u << (high - low + 1)) - 1);
}

/* --- how many bytes a load or a store moves ------------------------------------------------------------ */

static unsigned bytes_by_size(uint32_t word) { return 1u << bits(word, 31, 30); }

static unsigned bytes_literal(uint32_t word) { return bits(word, 31, 30) == 1 ? 8 : 4; }

static unsigned bytes_simd_literal(uint32_t word) { return 4u << bits(word, 31, 30); }

static unsigned bytes_pair(uint32_t word) { return bits(word, 31, 31) ? 16 : 8; }

static unsigned bytes_exclusive_pair(uint32_t word) { return bits(word, 30, 30) ? 16 : 8; }

static unsigned bytes_simd_pair(uint32_t word) { return 8u << bits(word, 31, 30); }

static unsigned bytes_authenticated(uint32_t word)
{
    (void)word; /* LDRAA and LDRAB load 64 bits, always */
    return 8;
}

/* One B, H, S, D register by size; Q has size 00 and the upper bit of opc set. */
static unsigned bytes_simd_register(uint32_t word)
{
    return bits(word, 31, 30) == 0 && bits(word, 23, 23) ? 16 : 1u << bits(word, 31, 30);
}

/* LD1..LD4 and ST1..ST4 of whole registers: the opcode tells how many, Q how wide. */
static unsigned bytes_structures(uint32_t word)
{
    static const unsigned char registers[16] = {[0] = 4, [2] = 4, [4] = 3, [6] = 3, [7] = 1, [8] = 2, [10] = 2};
    return registers[bits(word, 15, 12)] * (bits(word, 30, 30) ? 16 : 8);
}

/* One lane of each of 1..4 registers, or one element replicated to all lanes (LD1R..LD4R). */
static unsigned bytes_lanes(uint32_t word)
{
    unsigned registers = (bits(word, 13, 13) << 1 | bits(word, 21, 21)) + 1;
    unsigned scale = bits(word, 15, 14);
    if (scale == 3) {
        scale = bits(word, 11, 10); /* replicate: the size field says how wide */
    } else if (scale == 2 && bits(word, 10, 10)) {
        scale = 3; /* D lanes share the opcode of S lanes */
    }
    return registers << scale;
}

/* --- how many multiply-accumulates a SIMD instruction does --------------------------------------------- */

static unsigned macs_of(uint32_t word, unsigned in_128_bits)
{
    return bits(word, 30, 30) ? in_128_bits : in_128_bits / 2;
}

static unsigned macs_f32(uint32_t word) { return macs_of(word, 4); }

static unsigned macs_f16(uint32_t word) { return macs_of(word, 8); }

static unsigned macs_dot(uint32_t word) { return macs_of(word, 16); }

static unsigned macs_matmul(uint32_t word)
{
    (void)word; /* 2x8 by 8x2, always 128 bits */
    return 32;
}

/* SMLAL takes the lower, SMLAL2 the upper 64 bits: 8, 4 or 2 lanes either way. */
static unsigned macs_widening(uint32_t word) { return 8u >> bits(word, 23, 22); }

/* --- the table ----------------------------------------------------------------------------------------- */

struct encoding {
    uint32_t mask;
    uint32_t value;
    enum a64_class class;
    unsigned (*bytes)(uint32_t word); /* of memory classes */
    unsigned (*macs)(uint32_t word);  /* of multiply-accumulates */
    enum a64_mac mac;
};

#define ROW(mask, value, class) {mask, value, A64_##class, NULL, NULL, 0}
#define MEMORY(mask, value, class, bytes) {mask, value, A64_##class, bytes, NULL, 0}
#define MAC(mask, value, class, macs, mac) {mask, value, A64_##class, NULL, macs, A64_MAC_##mac}

static const struct encoding encodings[] = {
    /* Data processing, immediate */
    ROW(0x1c000000, 0x10000000, INTEGER),

    /* Exceptions, hints, barriers, system registers; then what is left of the group: branches */
    ROW(0xfe000000, 0xd4000000, SYSTEM),
    ROW(0x1c000000, 0x14000000, BRANCH),

    /* SIMD structures: whole registers, then lanes; each without and with post-increment */
    MEMORY(0xbfff0000, 0x0c000000, SIMD_STORE, bytes_structures),
    MEMORY(0xbfff0000, 0x0c400000, SIMD_LOAD, bytes_structures),
    MEMORY(0xbfe00000, 0x0c800000, SIMD_STORE, bytes_structures),
    MEMORY(0xbfe00000, 0x0cc00000, SIMD_LOAD, bytes_structures),
    MEMORY(0xbfdf0000, 0x0d000000, SIMD_STORE, bytes_lanes),
    MEMORY(0xbfdf0000, 0x0d400000, SIMD_LOAD, bytes_lanes),
    MEMORY(0xbfc00000, 0x0d800000, SIMD_STORE, bytes_lanes),
    MEMORY(0xbfc00000, 0x0dc00000, SIMD_LOAD, bytes_lanes),

    /* CASP; STXP, LDXP; CAS; then the other exclusive and ordered loads and stores */
    MEMORY(0xbfa00000, 0x08200000, ATOMIC, bytes_exclusive_pair),
    MEMORY(0xbfe00000, 0x88200000, STORE, bytes_exclusive_pair),
    MEMORY(0xbfe00000, 0x88600000, LOAD, bytes_exclusive_pair),
    MEMORY(0x3fa00000, 0x08a00000, ATOMIC, bytes_by_size),
    MEMORY(0x3f400000, 0x08000000, STORE, bytes_by_size),
    MEMORY(0x3f400000, 0x08400000, LOAD, bytes_by_size),

    /* STLUR, LDAPUR */
    MEMORY(0x3fe00c00, 0x19000000, STORE, bytes_by_size),
    MEMORY(0x3f200c00, 0x19000000, LOAD, bytes_by_size),

    /* Literals */
    ROW(0xff000000, 0xd8000000, PREFETCH),
    MEMORY(0x3f000000, 0x18000000, LOAD, bytes_literal),
    MEMORY(0x3f000000, 0x1c000000, SIMD_LOAD, bytes_simd_literal),

    /* Pairs */
    MEMORY(0x3e400000, 0x28000000, STORE, bytes_pair),
    MEMORY(0x3e400000, 0x28400000, LOAD, bytes_pair),
    MEMORY(0x3e400000, 0x2c000000, SIMD_STORE, bytes_simd_pair),
    MEMORY(0x3e400000, 0x2c400000, SIMD_LOAD, bytes_simd_pair),

    /* LDAPR, atomic memory operations, LDRAA: they live where register offsets do not reach */
    MEMORY(0x3ffffc00, 0x38bfc000, LOAD, bytes_by_size),
    MEMORY(0x3f200c00, 0x38200000, ATOMIC, bytes_by_size),
    MEMORY(0xff200400, 0xf8200400, LOAD, bytes_authenticated),

    /* Single registers, all addressing modes */
    ROW(0xfec00000, 0xf8800000, PREFETCH),
    MEMORY(0x3ec00000, 0x38000000, STORE, bytes_by_size),
    MEMORY(0x3e000000, 0x38000000, LOAD, bytes_by_size),
    MEMORY(0x3e400000, 0x3c000000, SIMD_STORE, bytes_simd_register),
    MEMORY(0x3e400000, 0x3c400000, SIMD_LOAD, bytes_simd_register),

    /* Data processing, register: multiplication (3 sources), UDIV and SDIV, CRC32; then the rest */
    ROW(0x1f000000, 0x1b000000, INTEGER_MULTICYCLE),
    ROW(0x7fe0f800, 0x1ac00800, INTEGER_MULTICYCLE),
    ROW(0x7fe0e000, 0x1ac04000, INTEGER_MULTICYCLE),
    ROW(0x0e000000, 0x0a000000, INTEGER),

    /* FMLA, FMLS: vectors of single and half lanes, then by element. (Doubles fall through to "other".) */
    MAC(0xbf60fc00, 0x0e20cc00, SIMD_FMA_F32, macs_f32, FP32),
    MAC(0xbf60fc00, 0x0e400c00, SIMD_FMA_F16, macs_f16, FP16),
    MAC(0xbfc0b400, 0x0f801000, SIMD_FMA_F32, macs_f32, FP32),
    MAC(0xbfc0b400, 0x0f001000, SIMD_FMA_F16, macs_f16, FP16),

    /* SDOT, UDOT; USDOT: vectors, then by element */
    MAC(0x9fe0fc00, 0x0e809400, SIMD_DOT_I8, macs_dot, INT8_DOT),
    MAC(0xbfe0fc00, 0x0e809c00, SIMD_DOT_I8, macs_dot, INT8_DOT),
    MAC(0x9fc0f400, 0x0f80e000, SIMD_DOT_I8, macs_dot, INT8_DOT),
    MAC(0xbf40f400, 0x0f00f000, SIMD_DOT_I8, macs_dot, INT8_DOT),

    /* SMMLA, UMMLA; USMMLA */
    MAC(0xdfe0fc00, 0x4e80a400, SIMD_MATMUL_I8, macs_matmul, INT8_MATMUL),
    MAC(0xffe0fc00, 0x4e80ac00, SIMD_MATMUL_I8, macs_matmul, INT8_MATMUL),

    /* SMLAL, SMLSL, UMLAL, UMLSL and their upper halves: vectors, then by element */
    MAC(0x9f20dc00, 0x0e208000, SIMD_WIDENING_MLA, macs_widening, WIDENING_MLA),
    MAC(0x9f00b400, 0x0f002000, SIMD_WIDENING_MLA, macs_widening, WIDENING_MLA),

    /* Scalar floating point: conversions to and from fixed point, FMADD, the rest */
    ROW(0x5f200000, 0x1e000000, FP_SCALAR),
    ROW(0x5f200000, 0x1e200000, FP_SCALAR),
    ROW(0x5f000000, 0x1f000000, FP_SCALAR),
    ROW(0x0e000000, 0x0e000000, SIMD_OTHER),
};

struct a64_instruction a64_decode(uint32_t word)
{
    struct a64_instruction seen = {.class = A64_OTHER};
    for (size_t row = 0; row < sizeof encodings / sizeof encodings[0]; row++) {
        const struct encoding *e = &encodings[row];
        if ((word & e->mask) != e->value) {
            continue;
        }
        seen.class = e->class;
        if (e->bytes) {
            unsigned bytes = e->bytes(word);
            int stores = e->class == A64_STORE || e->class == A64_SIMD_STORE || e->class == A64_ATOMIC;
            int loads = e->class == A64_LOAD || e->class == A64_SIMD_LOAD || e->class == A64_ATOMIC;
            seen.loaded_bytes = loads ? bytes : 0;
            seen.stored_bytes = stores ? bytes : 0;
        }
        if (e->macs) {
            seen.mac = e->mac;
            seen.macs = e->macs(word);
        }
        break;
    }
    return seen;
}
