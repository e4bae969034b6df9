/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What was executed between two marks, from how often each block of code ran.
 */
#ifndef MOCOVIT_ACCOUNT_H
#define MOCOVIT_ACCOUNT_H

#include <glib.h>
#include <qemu-plugin.h>
#include <stdbool.h>

#include "ports.h"

/* One translated block. Blocks are never freed: how often one ran must survive its translation, which the
 * emulator may throw away and make again. */
struct block {
    uint64_t address;
    unsigned length; /* instructions */
    uint32_t *words;
    struct mix mix;
    uint64_t bounds[CORES];
    qemu_plugin_u64 executions; /* one counter per virtual processor */
    uint64_t executions_at_start;
};

struct hot_block {
    const struct block *block;
    uint64_t executions;
};

/* Sums over all blocks. */
struct sums {
    struct mix mix;
    uint64_t bounds[CORES];
};

/* What a region had executed when the program noted a number. */
struct tick {
    uint64_t number;
    uint64_t instructions;
    uint64_t bounds[CORES];
};

/* One marked region, and the blocks with most instructions in it. */
struct region {
    struct sums sums;
    GArray *ticks; /* struct tick */
    struct hot_block *hottest;
    unsigned hottest_length;
};

struct account {
    GMutex lock;
    GHashTable *blocks; /* a set, by address and words */
    GArray *regions;    /* struct region */
    GArray *open_ticks; /* of the open region */
    bool open;
    unsigned unbalanced_marks; /* an end without a begin, or a begin within a region */
    unsigned hottest_wanted;
};

void account_init(struct account *account, unsigned hottest_wanted);

/* The block at `address` that consists of `words`, known or new. */
struct block *account_block(struct account *account, uint64_t address, const uint32_t *words, unsigned length);

void account_begin(struct account *account);
void account_tick(struct account *account, uint64_t number); /* outside a region: ignored */
void account_end(struct account *account);

#endif
