/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The port model: a block takes as long as its most loaded resource. Dependencies, cache misses and branch
 * misses are not in it, so it is a bound; benchmarks/devices/latency_fit.py fits what they cost on average.
 *
 * Sources: Arm Cortex-A76 Software Optimization Guide (4-wide dispatch; pipes: 1 branch, 3 integer,
 * 2 load/store, 2 ASIMD, of which one accumulates widening products) and Arm Cortex-A55 Software
 * Optimization Guide (dual issue in order; one 128-bit ASIMD operation, one load, one store a cycle;
 * a 64-bit load path).
 */
#include "ports.h"

const char *const core_names[CORES] = {"cortex-a76", "cortex-a55"};

#define FULL CYCLE_UNITS         /* one a cycle */
#define HALF (CYCLE_UNITS / 2)   /* two a cycle */
#define THIRD (CYCLE_UNITS / 3)  /* three a cycle */
#define FOURTH (CYCLE_UNITS / 4) /* four a cycle */

struct resource {
    unsigned every_instruction;
    unsigned loaded_byte;
    unsigned by_class[A64_CLASSES];
};

#define EVERY_LOAD(cost) [A64_LOAD] = (cost), [A64_SIMD_LOAD] = (cost), [A64_ATOMIC] = (cost)
#define EVERY_STORE(cost) [A64_STORE] = (cost), [A64_SIMD_STORE] = (cost)
#define EVERY_ASIMD(cost, widening)                                                                           \
    [A64_SIMD_FMA_F32] = (cost), [A64_SIMD_FMA_F16] = (cost), [A64_SIMD_DOT_I8] = (cost),                     \
    [A64_SIMD_MATMUL_I8] = (cost), [A64_SIMD_OTHER] = (cost), [A64_FP_SCALAR] = (cost),                       \
    [A64_SIMD_WIDENING_MLA] = (widening)

#define RESOURCES 6

static const struct resource resources[CORES][RESOURCES] = {
    [CORE_A76] = {
        {.every_instruction = FOURTH},
        {.by_class = {[A64_INTEGER] = THIRD, [A64_INTEGER_MULTICYCLE] = THIRD}},
        {.by_class = {EVERY_LOAD(HALF), EVERY_STORE(HALF), [A64_PREFETCH] = HALF}},
        {.by_class = {EVERY_ASIMD(HALF, FULL)}},
        {.by_class = {[A64_BRANCH] = FULL}},
    },
    [CORE_A55] = {
        {.every_instruction = HALF},
        {.by_class = {EVERY_LOAD(FULL)}},
        {.loaded_byte = CYCLE_UNITS / 8},
        {.by_class = {EVERY_STORE(FULL)}},
        {.by_class = {EVERY_ASIMD(FULL, FULL)}},
        {.by_class = {[A64_BRANCH] = FULL}},
    },
};

void mix_add(struct mix *mix, struct a64_instruction seen)
{
    mix->by_class[seen.class]++;
    mix->loaded_bytes += seen.loaded_bytes;
    mix->stored_bytes += seen.stored_bytes;
    mix->macs[seen.mac] += seen.macs;
}

uint64_t mix_instructions(const struct mix *mix)
{
    uint64_t instructions = 0;
    for (int class = 0; class < A64_CLASSES; class++) {
        instructions += mix->by_class[class];
    }
    return instructions;
}

uint64_t cycle_bound(enum core core, const struct mix *mix)
{
    uint64_t bound = 0;
    for (int n = 0; n < RESOURCES; n++) {
        const struct resource *resource = &resources[core][n];
        uint64_t pressure = resource->every_instruction * mix_instructions(mix);
        pressure += resource->loaded_byte * mix->loaded_bytes;
        for (int class = 0; class < A64_CLASSES; class++) {
            pressure += resource->by_class[class] * mix->by_class[class];
        }
        bound = pressure > bound ? pressure : bound;
    }
    return bound;
}
