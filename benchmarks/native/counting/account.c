/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Executing a block costs one addition; everything else is multiplication, at the end of a region. Counters
 * belong to a virtual processor each, so threads need no lock while they run. With one thread a region's
 * sums are exact. With more, threads that still run while another sets a mark are counted up to about
 * that moment.
 */
#include "account.h"

#include <string.h>

static guint block_hash(gconstpointer key)
{
    const struct block *block = key;
    guint hash = (guint)(block->address ^ block->address >> 32);
    for (unsigned n = 0; n < block->length; n++) {
        hash = hash * 31 + block->words[n];
    }
    return hash;
}

static gboolean block_equal(gconstpointer left, gconstpointer right)
{
    const struct block *a = left, *b = right;
    return a->address == b->address && a->length == b->length &&
           memcmp(a->words, b->words, a->length * sizeof *a->words) == 0;
}

void account_init(struct account *account, unsigned hottest_wanted)
{
    memset(account, 0, sizeof *account);
    g_mutex_init(&account->lock);
    account->blocks = g_hash_table_new(block_hash, block_equal);
    account->regions = g_array_new(FALSE, TRUE, sizeof(struct region));
    account->open_ticks = g_array_new(FALSE, FALSE, sizeof(struct tick));
    account->hottest_wanted = hottest_wanted;
}

static struct block *new_block(uint64_t address, const uint32_t *words, unsigned length)
{
    struct block *block = g_new0(struct block, 1);
    block->address = address;
    block->length = length;
    block->words = g_new(uint32_t, length);
    memcpy(block->words, words, length * sizeof *words);
    for (unsigned n = 0; n < length; n++) {
        mix_add(&block->mix, a64_decode(words[n]));
    }
    for (int core = 0; core < CORES; core++) {
        block->bounds[core] = cycle_bound(core, &block->mix);
    }
    block->executions = qemu_plugin_scoreboard_u64(qemu_plugin_scoreboard_new(sizeof(uint64_t)));
    return block;
}

struct block *account_block(struct account *account, uint64_t address, const uint32_t *words, unsigned length)
{
    const struct block wanted = {.address = address, .length = length, .words = (uint32_t *)words};
    g_mutex_lock(&account->lock);
    struct block *block = g_hash_table_lookup(account->blocks, &wanted);
    if (!block) {
        block = new_block(address, words, length);
        g_hash_table_add(account->blocks, block);
    }
    g_mutex_unlock(&account->lock);
    return block;
}

void account_begin(struct account *account)
{
    GHashTableIter walk;
    gpointer key;
    g_mutex_lock(&account->lock);
    account->unbalanced_marks += account->open;
    account->open = true;
    g_array_set_size(account->open_ticks, 0);
    g_hash_table_iter_init(&walk, account->blocks);
    while (g_hash_table_iter_next(&walk, &key, NULL)) {
        struct block *block = key;
        block->executions_at_start = qemu_plugin_u64_sum(block->executions);
    }
    g_mutex_unlock(&account->lock);
}

static void add_block(struct sums *sums, const struct block *block, uint64_t executions)
{
    for (int class = 0; class < A64_CLASSES; class++) {
        sums->mix.by_class[class] += executions * block->mix.by_class[class];
    }
    for (int mac = 0; mac < A64_MACS; mac++) {
        sums->mix.macs[mac] += executions * block->mix.macs[mac];
    }
    for (int core = 0; core < CORES; core++) {
        sums->bounds[core] += executions * block->bounds[core];
    }
    sums->mix.loaded_bytes += executions * block->mix.loaded_bytes;
    sums->mix.stored_bytes += executions * block->mix.stored_bytes;
}

/* Sum what has been executed since the region began. Where `executed` is given, list the blocks there. */
static struct sums sum_blocks(struct account *account, GArray *executed)
{
    struct sums sums = {0};
    GHashTableIter walk;
    gpointer key;
    g_hash_table_iter_init(&walk, account->blocks);
    while (g_hash_table_iter_next(&walk, &key, NULL)) {
        const struct block *block = key;
        struct hot_block hot = {block, qemu_plugin_u64_sum(block->executions) - block->executions_at_start};
        if (hot.executions > 0) {
            add_block(&sums, block, hot.executions);
            if (executed) {
                g_array_append_val(executed, hot);
            }
        }
    }
    return sums;
}

void account_tick(struct account *account, uint64_t number)
{
    g_mutex_lock(&account->lock);
    if (account->open) {
        struct sums sums = sum_blocks(account, NULL);
        struct tick tick = {.number = number, .instructions = mix_instructions(&sums.mix)};
        memcpy(tick.bounds, sums.bounds, sizeof tick.bounds);
        g_array_append_val(account->open_ticks, tick);
    }
    g_mutex_unlock(&account->lock);
}

/* Most instructions first; equal ones by address, so that the order is the same in every run. */
static gint hotter_first(gconstpointer left, gconstpointer right)
{
    const struct hot_block *a = left, *b = right;
    uint64_t in_a = a->executions * a->block->length, in_b = b->executions * b->block->length;
    if (in_a != in_b) {
        return in_a < in_b ? 1 : -1;
    }
    return a->block->address < b->block->address ? -1 : a->block->address > b->block->address;
}

void account_end(struct account *account)
{
    g_mutex_lock(&account->lock);
    if (!account->open) {
        account->unbalanced_marks++;
        g_mutex_unlock(&account->lock);
        return;
    }
    account->open = false;
    GArray *executed = g_array_new(FALSE, FALSE, sizeof(struct hot_block));
    struct region region = {.sums = sum_blocks(account, executed), .ticks = account->open_ticks};
    account->open_ticks = g_array_new(FALSE, FALSE, sizeof(struct tick));
    g_array_sort(executed, hotter_first);
    region.hottest_length = MIN(executed->len, account->hottest_wanted);
    g_array_set_size(executed, region.hottest_length);
    region.hottest = (struct hot_block *)g_array_free(executed, FALSE);
    g_array_append_val(account->regions, region);
    g_mutex_unlock(&account->lock);
}
