/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "output.h"

#include <inttypes.h>

#define SCHEMA_VERSION 1

static void write_object(FILE *stream, const char *name, const char *const *keys, const uint64_t *values, int n)
{
    fprintf(stream, "\"%s\": {", name);
    for (int k = 0; k < n; k++) {
        fprintf(stream, "%s\"%s\": %" PRIu64, k ? ", " : "", keys[k], values[k]);
    }
    fprintf(stream, "}");
}

static void write_hot_block(FILE *stream, const struct hot_block *hot)
{
    fprintf(stream, "{\"address\": \"0x%" PRIx64 "\", \"executions\": %" PRIu64, hot->block->address,
            hot->executions);
    fprintf(stream, ", \"instructions\": %u, \"words\": [", hot->block->length);
    for (unsigned n = 0; n < hot->block->length; n++) {
        fprintf(stream, "%s\"%08" PRIx32 "\"", n ? ", " : "", hot->block->words[n]);
    }
    fprintf(stream, "]}");
}

static void write_tick(FILE *stream, const struct tick *tick)
{
    fprintf(stream, "{\"number\": %" PRIu64 ", \"instructions\": %" PRIu64 ", ", tick->number,
            tick->instructions);
    write_object(stream, "cycle_bounds_x24", core_names, tick->bounds, CORES);
    fprintf(stream, "}");
}

static void write_region(FILE *stream, const struct region *region)
{
    const struct mix *mix = &region->sums.mix;
    fprintf(stream, "{\"instructions\": %" PRIu64 ", ", mix_instructions(mix));
    write_object(stream, "by_class", a64_class_names, mix->by_class, A64_CLASSES);
    fprintf(stream, ", \"loaded_bytes\": %" PRIu64, mix->loaded_bytes);
    fprintf(stream, ", \"stored_bytes\": %" PRIu64 ", ", mix->stored_bytes);
    write_object(stream, "macs", a64_mac_names, mix->macs, A64_MACS);
    fprintf(stream, ", ");
    write_object(stream, "cycle_bounds_x24", core_names, region->sums.bounds, CORES);
    fprintf(stream, ", \"ticks\": [");
    for (guint n = 0; n < region->ticks->len; n++) {
        fprintf(stream, "%s", n ? ", " : "");
        write_tick(stream, &g_array_index(region->ticks, struct tick, n));
    }
    fprintf(stream, "], \"hottest\": [");
    for (unsigned n = 0; n < region->hottest_length; n++) {
        fprintf(stream, "%s", n ? ", " : "");
        write_hot_block(stream, &region->hottest[n]);
    }
    fprintf(stream, "]}");
}

bool write_account(FILE *stream, const struct account *account)
{
    fprintf(stream, "{\"schema_version\": %d, \"unbalanced_marks\": %u, \"regions\": [", SCHEMA_VERSION,
            account->unbalanced_marks + account->open);
    for (guint n = 0; n < account->regions->len; n++) {
        fprintf(stream, "%s\n", n ? "," : "");
        write_region(stream, &g_array_index(account->regions, struct region, n));
    }
    fprintf(stream, "\n]}\n");
    return fflush(stream) == 0 && !ferror(stream);
}
