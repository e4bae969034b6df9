/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How many cycles a block of code takes at least, by the pressure it puts on each resource of a core.
 */
#ifndef MOCOVIT_PORTS_H
#define MOCOVIT_PORTS_H

#include <stdint.h>

#include "a64.h"

/* Cycles are counted in 24ths: every throughput below divides 24, so nothing is ever rounded. */
#define CYCLE_UNITS 24

enum core { CORE_A76, CORE_A55, CORES };

extern const char *const core_names[CORES];

/* What a block of code consists of. */
struct mix {
    uint64_t by_class[A64_CLASSES];
    uint64_t loaded_bytes;
    uint64_t stored_bytes;
    uint64_t macs[A64_MACS];
};

void mix_add(struct mix *mix, struct a64_instruction seen);
uint64_t mix_instructions(const struct mix *mix);

/* Lower bound on the time of one execution of `mix` on `core`, in 1/CYCLE_UNITS cycles. */
uint64_t cycle_bound(enum core core, const struct mix *mix);

#endif
